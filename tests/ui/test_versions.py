"""Versions over the wire: changed, deleted, trained again, downloaded whole or not at all."""

from __future__ import annotations

import pytest

from loop_studio.storage import groups, jobs, projects, samples, updates, versions
from loop_studio.storage.updates import NewInput
from tests.ui.studio import Studio, add_group, is_problem, stored


@pytest.fixture
def version(studio: Studio):
    return grow(studio)


def grow(studio: Studio, rater: str = "ada") -> versions.Version:
    """A version learned from one group, with files of its own."""
    projects.change(studio.db, studio.project, settings={"min_groups": 1, "buffer_groups": 1})
    made = add_group(studio)
    ids = [image.id for image in groups.images(studio.db, made.id)]
    shown = {"id": made.id, "images": [{"id": one} for one in ids]}
    assert studio.rate(studio.rating(shown, rater=rater)).status_code == 200
    update = updates.create(studio.db, studio.project)
    job = jobs.claim(studio.db, "w", kinds=["update"])
    assert job is not None
    updates.start(studio.db, update.id, job)
    updates.claim_groups(studio.db, update.id)
    [row] = updates.judgements(studio.db, [made.id])
    inputs = [
        NewInput(made.id, image, "human", row.rater_id, row.sequence, "best", reward, 1, reward, 0)
        for image, reward in row.rewards.items()
    ]
    updates.record_inputs(studio.db, update.id, inputs, {})
    files = {
        kind: stored(studio, kind.encode(), ".bin") for kind in ("resume", "diffusers", "kohya")
    }
    return updates.publish(studio.db, job, update.id, files, {})


def listed(studio: Studio) -> list[dict]:
    return studio.api("GET", f"projects/{studio.project}/versions").json()["versions"]


def test_a_version_is_changed_field_by_field(studio: Studio, version) -> None:
    path = f"versions/{version.id}"
    assert studio.api("PATCH", path, {"name": "Bold", "pinned": True}).json()["name"] == "Bold"
    assert studio.api("PATCH", path, {"note": "too bold"}).json()["pinned"] is True
    assert listed(studio)[1]["note"] == "too bold"
    is_problem(studio.api("PATCH", path, {"pinned": "yes"}), 422, "invalid_value")
    is_problem(studio.api("PATCH", path, {"name": "x" * 201}), 422, "invalid_value")
    is_problem(studio.api("PATCH", "versions/none", {"name": "x"}), 404, "not_found")


def test_a_version_is_deleted_unless_it_stands(studio: Studio, version) -> None:
    path = f"versions/{version.id}"
    is_problem(studio.api("DELETE", path), 409, "version_is_live")
    base = listed(studio)[0]["id"]
    studio.api("POST", f"versions/{base}/activate")
    assert studio.api("DELETE", path).json()["freed_bytes"] >= len("resumediffuserskohya")
    assert [row["number"] for row in listed(studio)] == [0]
    is_problem(studio.api("DELETE", path), 404, "version_deleted")
    is_problem(studio.api("POST", f"{path}/activate"), 404, "version_deleted")
    is_problem(studio.api("GET", f"{path}/lora"), 404, "version_deleted")


def test_a_file_changed_behind_the_studios_back_is_not_handed_out(studio: Studio, version) -> None:
    path = f"versions/{version.id}/lora"
    digest = studio.api("GET", f"{path}/digest").json()
    assert digest["size"] == len("diffusers")
    assert studio.api("GET", path).content == b"diffusers"
    file = studio.files.path(versions.file(studio.db, version.id, "diffusers").key)
    file.write_bytes(b"diffuserz")
    for address in (path, f"{path}/digest"):
        detail = is_problem(studio.api("GET", address), 404, "file_changed")
        assert "changed or damaged outside the studio" in detail
    assert studio.api("GET", f"{path}?format=kohya").content == b"kohya"
    file.unlink()
    is_problem(studio.api("GET", path), 404, "file_gone")


def test_training_again_is_planned_started_and_refused_with_a_sentence(studio: Studio) -> None:
    first, second = grow(studio, "ada"), grow(studio, "ben")
    told = studio.api("GET", f"projects/{studio.project}/provenance").json()["versions"]
    assert [part["name"] for part in told[2]["raters"]] == ["ben"]
    ada, ben = (told[number]["raters"][0]["id"] for number in (1, 2))
    path = f"versions/{second.id}/retraining"
    plan = studio.api("GET", f"{path}?rater={ada}").json()
    assert (plan["ancestor"], plan["updates"], plan["left_out"]) == (0, 1, 1)
    detail = is_problem(studio.api("GET", f"{path}?rater={ben}"), 409, "nothing_left")
    assert "make version 1 live instead" in detail
    other = studio.api("GET", f"versions/{first.id}/retraining?rater={ben}")
    is_problem(other, 409, "nothing_to_leave_out")
    is_problem(studio.api("POST", path, {}), 422, "invalid_value")
    is_problem(studio.api("POST", path, {"raters": ["nobody"]}), 409, "nothing_to_leave_out")
    update = studio.api("POST", path, {"raters": [ada]}).json()
    assert (update["status"], update["groups"], update["ratings"]) == ("queued", 1, 1)
    is_problem(studio.api("POST", path, {"raters": [ada]}), 409, "update_active")
    events = studio.api("GET", f"versions/{second.id}/ratings").json()["ratings"]
    assert [one["rater"] for one in events] == ["ben", "ada"]


def test_samples_tell_unknown_words_and_how_far_they_are(studio: Studio) -> None:
    body = {"prompts": ["a red zeppelin"], "seeds": [1, 2], "settings": {"adapter_weight": 0.5}}
    ticket = studio.api("POST", f"projects/{studio.project}/samples", body).json()
    assert ticket["unknown_words"] == ["zeppelin"]
    told = studio.api("GET", f"samples/{ticket['id']}").json()
    assert (told["total"], told["eta_s"], told["images"]) == (2, None, [])
    body["settings"] = {"adapter_weight": 2}
    answer = studio.api("POST", f"projects/{studio.project}/samples", body)
    assert "from 0 to 1.5" in is_problem(answer, 422, "invalid_value")


def test_a_probe_is_asked_for_and_an_order_taken(studio: Studio) -> None:
    base = listed(studio)[0]["id"]
    is_problem(studio.api("GET", f"versions/{base}/probe"), 404, "no_probe")
    wall = studio.api("POST", f"versions/{base}/probe").json()
    assert (wall["status"], wall["total"]) == ("queued", 6)
    assert samples.probe(studio.db, base) is not None
    assert studio.api("GET", f"versions/{base}/difference?to={base}").json() == {"differences": []}
    path = f"projects/{studio.project}/orders"
    order = studio.api("POST", path, {"prompt": "a red fish", "version": 0, "rater": "ada"}).json()
    assert studio.api("GET", f"orders/{order['id']}").json()["status"] == "queued"
    is_problem(studio.api("POST", path, {"prompt": " "}), 422, "invalid_value")
    is_problem(studio.api("POST", path, {"prompt": "a fish", "version": 9}), 404, "not_found")
    is_problem(studio.api("GET", "orders/none"), 404, "not_found")
