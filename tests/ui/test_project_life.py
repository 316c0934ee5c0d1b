"""Whole projects through HTTP: at a glance, from a preset, cloned, deleted, packed and sent in."""

from __future__ import annotations

import pytest

from loop_studio.storage import exports, jobs, project_imports, projects, versions
from tests.storage.studio import publish
from tests.ui.studio import add_group, is_problem, stored

FILE = {"content-type": "application/octet-stream"}


@pytest.fixture
def project(studio) -> str:
    answer = studio.api("POST", "projects", {"name": "Mine", "prompts": ["a red circle"]})
    return answer.json()["id"]


def glance(studio, project):
    return studio.api("GET", f"projects/{project}/overview").json()


def test_the_overview_tells_what_each_project_holds(studio, project):
    group = add_group(studio)
    shown = studio.next_group().json()
    assert shown["id"] == group.id
    studio.rate(studio.rating(shown))
    listed = studio.api("GET", "overview").json()["projects"]
    assert [one["name"] for one in listed] == ["Starter", "Mine"]
    assert (listed[0]["ratings"], listed[0]["raters"], listed[0]["live_version"]) == (1, 1, 0)
    assert set(listed[0]["images"]) == {image["id"] for image in shown["images"]}
    sizes = [path.stat().st_size for path in studio.files.root.rglob("*") if path.is_file()]
    assert listed[0]["size"] == sum(sizes)
    assert (listed[1]["ratings"], listed[1]["images"], listed[1]["size"]) == (0, [], 0)
    assert listed[1]["rated_at"] is None
    assert listed[1] == glance(studio, project)


def test_unjudged_pictures_are_not_shown_in_the_overview(studio):
    add_group(studio)
    assert glance(studio, studio.project)["images"] == []


def test_a_preset_makes_a_project_whose_reward_is_in_force_from_the_start(studio):
    presets = studio.api("GET", "presets").json()["presets"]
    assert [preset["name"] for preset in presets] == ["starter", "sd15", "sdxl"]
    sd15 = presets[1]
    reward = {"human": 0.0, "models": {"clip_score": 1.0}}
    body = {"name": "SD", "model": sd15["model"], "prompts": sd15["prompts"],
            "settings": sd15["settings"], "reward": reward}  # fmt: skip
    made = studio.api("POST", "projects", body)
    assert made.status_code == 201, made.json()
    told = made.json()
    assert told["settings"]["gradient_checkpointing"] is True
    stored = studio.api("GET", f"projects/{told['id']}/reward").json()
    weights = {name: weight for name, weight in stored["models"].items() if weight}
    assert {"human": stored["human"], "models": weights} == reward
    bad = studio.api("POST", "projects", {**body, "reward": {"models": {"nonsense": 1.0}}})
    assert "no reward model" in is_problem(bad, 422, "invalid_value")


def test_a_clone_is_another_project(studio, project):
    answer = studio.api("POST", f"projects/{project}/clone", {"name": "Copy"})
    assert answer.status_code == 201
    assert answer.json()["name"] == "Copy"
    assert answer.json()["id"] != project
    is_problem(studio.api("POST", "projects/none/clone", {"name": "x"}), 404, "not_found")
    is_problem(studio.api("POST", f"projects/{project}/clone", {"name": ""}), 422, "invalid_value")


def test_deleting_asks_for_the_name_and_lets_the_files_go(studio, project):
    add_group(studio, project)
    assert list(studio.files.keys())
    wrong = studio.api("DELETE", f"projects/{project}", {"name": "mine"})
    assert "letter by letter" in is_problem(wrong, 422, "invalid_value")
    assert studio.api("DELETE", f"projects/{project}", {"name": "Mine"}).status_code == 204
    assert list(studio.files.keys()) == []
    is_problem(studio.api("GET", f"projects/{project}"), 404, "not_found")
    again = studio.api("DELETE", f"projects/{project}", {"name": "Mine"})
    is_problem(again, 404, "not_found")
    starter = studio.api("DELETE", f"projects/{studio.project}", {"name": "Starter"})
    assert "archive it" in is_problem(starter, 409, "starter_stays")


def test_starting_over_through_http(studio, project):
    answer = studio.api("POST", f"projects/{project}/start-over")
    assert answer.status_code == 200
    assert answer.json()["id"] == project


def trained(studio):
    """A version with files of its own."""
    group = add_group(studio)
    studio.rate(studio.rating(studio.next_group().json()))
    projects.change(studio.db, studio.project, settings={"min_groups": 1})
    assert group
    return publish(studio.db, projects.get(studio.db, studio.project))


def test_an_export_is_asked_for_followed_and_fetched(studio):
    version = trained(studio)
    asked = studio.api("POST", f"versions/{version.id}/exports", {"format": "zip"})
    assert asked.status_code == 202
    told = asked.json()
    assert (told["status"], told["format"], told["version_id"]) == ("queued", "zip", version.id)
    again = studio.api("POST", f"versions/{version.id}/exports", {"format": "zip"}).json()
    assert again["id"] == told["id"]
    early = studio.api("GET", f"exports/{told['id']}/file")
    is_problem(early, 409, "not_finished")
    job = jobs.claim(studio.db, "w", kinds=[exports.KIND])
    exports.publish(studio.db, job, stored(studio, b"PK", ".zip"), "starter-v1.zip")
    done = studio.api("GET", f"exports/{told['id']}").json()
    assert (done["status"], done["name"], done["size"]) == ("succeeded", "starter-v1.zip", 2)
    listed = studio.api("GET", f"projects/{studio.project}/exports").json()["exports"]
    assert listed == [done]
    file = studio.api("GET", f"exports/{told['id']}/file")
    assert file.content == b"PK"
    assert file.headers["content-type"] == "application/zip"
    assert 'filename="starter-v1.zip"' in file.headers["content-disposition"]
    studio.files.delete(exports.file(exports.get(studio.db, told["id"])).key)
    gone = studio.api("GET", f"exports/{told['id']}/file")
    assert "make it again" in is_problem(gone, 404, "file_gone")


def test_what_cannot_be_exported_is_told(studio):
    base = versions.by_number(studio.db, studio.project, 0)
    answer = studio.api("POST", f"versions/{base.id}/exports")
    is_problem(answer, 404, "base_has_no_lora")
    answer = studio.api("POST", f"versions/{base.id}/exports", {"format": "onnx"})
    is_problem(answer, 422, "invalid_value")
    is_problem(studio.api("GET", "exports/none"), 404, "not_found")
    assert studio.api("POST", f"projects/{studio.project}/exports").json()["format"] == "project"


def test_pushing_needs_a_token_and_a_name_and_says_when_the_hub_is_out_of_reach(studio):
    version = trained(studio)
    told = studio.api("POST", f"versions/{version.id}/exports").json()
    job = jobs.claim(studio.db, "w", kinds=[exports.KIND])
    empty = b"PK\x05\x06" + bytes(18)
    exports.publish(studio.db, job, stored(studio, empty, ".zip"), "starter-v1.zip")

    def push(**body):
        return studio.api("POST", f"exports/{told['id']}/push", body)

    answer = push(repository="ada/lora")
    assert "HF_TOKEN" in is_problem(answer, 422, "invalid_value")
    for name in ("lora", "a/b/c", "../x", ""):
        assert "owner/name" in is_problem(push(repository=name, token="t"), 422, "invalid_value")
    answer = push(repository="ada/lora", token="hf_secret")
    assert is_problem(answer, 400, "hub_unreachable") == (
        "The hub cannot be reached; check the network of this machine, then try again."
    )
    with studio.db.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT payload, error_log FROM jobs").fetchall()
    assert "hf_secret" not in str(rows)
    assert not list(studio.files.root.glob("scratch-*"))


def test_a_project_is_sent_in_and_followed(studio):
    answer = studio.api("POST", "project-imports", content=b"x" * 3_000_000, headers=FILE,
                        params={"name": "from afar"})  # fmt: skip
    assert answer.status_code == 202
    told = answer.json()
    assert (told["name"], told["status"], told["project_id"]) == ("from afar", "queued", None)
    assert studio.api("GET", f"project-imports/{told['id']}").json() == told
    assert studio.api("GET", "project-imports").json() == {"imports": [told]}
    second = studio.api("POST", "project-imports", content=b"y", headers=FILE)
    is_problem(second, 409, "import_active")
    assert len(list(studio.files.keys())) == 1
    plain = studio.api("POST", "project-imports", {"name": "x"})
    is_problem(plain, 415, "unsupported_media_type")
    job = jobs.claim(studio.db, "w", kinds=[project_imports.KIND])
    jobs.finish(studio.db, job, "failed", "invalid_value", "It is cut off.")
    ended = studio.api("GET", f"project-imports/{told['id']}").json()
    assert ended["error"]["code"] == "invalid_value"
    assert ended["error"]["detail"] == "It is cut off."
