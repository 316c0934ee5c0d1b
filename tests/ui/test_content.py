"""Content over the wire: what is blurred, blocked, reported, agreed to; and every refusal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from loop_studio.content import NO_CHECKER
from loop_studio.storage import groups, verdicts
from loop_studio.ui.routes.reports import Reported
from tests.ui.studio import add_group, is_problem

STARTER = Path(__file__).parents[2] / "loop_studio" / "starter" / "weights" / "diffusion"


def change(studio, **fields):
    return studio.api("PATCH", f"projects/{studio.project}", json=fields)


def flag(studio, group, *positions):
    images = groups.images(studio.db, group.id)
    told = {image.id: image.position in positions for image in images}
    verdicts.record(studio.db, studio.project, told)
    return [image.id for image in images]


def test_a_model_without_a_checker_says_what_works(studio):
    project = studio.api("GET", f"projects/{studio.project}").json()
    assert project["settings"]["content"] == "off"
    assert "no safety checker: blur covers every picture" in project["content_note"]
    detail = is_problem(change(studio, settings={"content": "block"}), 422, "invalid_value")
    assert detail == NO_CHECKER
    add_group(studio)
    assert change(studio, settings={"content": "blur"}).status_code == 200
    assert all(image["blurred"] for image in studio.next_group().json()["images"])
    is_problem(change(studio, settings={"content": ["block"]}), 422, "invalid_value")


@pytest.fixture(scope="module")
def with_checker(tmp_path_factory):
    """A model folder whose safety checker names its parts; nobody loads them here."""
    folder = tmp_path_factory.mktemp("checked") / "model"
    shutil.copytree(STARTER, folder)
    index = (folder / "model_index.json").read_text()
    kind = '["stable_diffusion", "StableDiffusionSafetyChecker"]'
    start = index.index('"safety_checker"')
    end = index.index("]", start) + 1
    (folder / "model_index.json").write_text(
        f'{index[:start]}"safety_checker": {kind}{index[end:]}'
    )
    for name in ("safety_checker/config.json", "feature_extractor/preprocessor_config.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    shutil.copy(folder / "vae/diffusion_pytorch_model.safetensors", folder / "model.whole")
    return folder


def test_a_truncated_checker_is_refused_in_a_sentence(studio, with_checker):
    weights = with_checker / "safety_checker" / "model.safetensors"
    weights.write_bytes((with_checker / "model.whole").read_bytes()[:1000])
    body = {"name": "Checked", "model": str(with_checker), "prompts": ["a red circle"]}
    refused = studio.api("POST", "projects", json=body | {"settings": {"content": "block"}})
    assert "truncated or damaged" in is_problem(refused, 422, "invalid_value")
    weights.unlink()
    refused = studio.api("POST", "projects", json=body | {"settings": {"content": "blur"}})
    assert "has no weights" in is_problem(refused, 422, "invalid_value")
    shutil.copy(with_checker / "model.whole", weights)
    made = studio.api("POST", "projects", json=body | {"settings": {"content": "block"}})
    assert made.status_code == 201
    assert made.json()["content_note"].startswith("This model has a safety checker")


def test_a_report_tells_the_rater_nothing_and_hides_the_picture(studio):
    add_group(studio)
    group = studio.next_group().json()
    image = group["images"][1]["id"]
    body = {"rater": "ada", "reason": "a <b>bad</b> picture"}
    made = studio.api("POST", f"images/{image}/report", json=body)
    assert made.status_code == 201
    assert set(made.json()) == set(Reported.model_fields)
    again = studio.api("POST", f"images/{image}/report", json=body)
    assert (again.status_code, again.json()["id"]) == (201, made.json()["id"])
    is_problem(studio.api("GET", f"images/{image}"), 403, "image_withheld")
    assert image not in [one["id"] for one in studio.next_group().json()["images"]]
    rated = studio.rate(studio.rating(group, best=1)).json()
    assert rated["rewards"][image] is None
    assert not rated["usable"]  # the best one is hidden
    [listed] = studio.api("GET", f"projects/{studio.project}/reports").json()["reports"]
    assert (listed["reason"], listed["state"]) == (body["reason"], "open")
    assert studio.client.get(listed["url"]).headers["cache-control"] == "no-store"
    status = studio.api("GET", f"projects/{studio.project}/status").json()
    assert status["open_reports"] == 1
    decision = f"reports/{listed['id']}/decision"
    assert studio.api("PUT", decision, json={"decision": "keep"}).json()["state"] == "kept"
    assert studio.api("GET", f"images/{image}").status_code == 200
    is_problem(studio.api("POST", f"images/{image}/report", json=body), 409, "already_decided")


def test_reports_that_make_no_sense_are_refused(studio):
    group = add_group(studio)
    image = groups.images(studio.db, group.id)[0].id
    report = f"images/{image}/report"
    is_problem(studio.api("POST", report, json={"rater": "stranger"}), 403, "not_shown")
    is_problem(studio.api("POST", "images/none/report", json={"rater": "ada"}), 404, "not_found")
    long = {"rater": "ada", "reason": "x" * 2001}
    is_problem(studio.api("POST", report, json=long), 422, "invalid_value")
    is_problem(studio.api("GET", "reports/none/image"), 404, "not_found")
    wrong = {"decision": "burn"}
    is_problem(studio.api("PUT", "reports/none/decision", json=wrong), 422, "invalid_value")


def test_history_and_downloads_leave_out_what_is_withheld(studio):
    add_group(studio)
    group = studio.next_group().json()
    studio.rate(studio.rating(group))
    image = group["images"][0]["id"]
    studio.api("POST", f"images/{image}/report", json={"rater": "ada"})
    path = f"projects/{studio.project}/history"
    [past] = studio.api("GET", path, params={"rater": "ada"}).json()["groups"]
    assert {one["id"]: one["withheld"] for one in past["images"]}[image] == "reported"
    download = studio.api("GET", f"images/{image}/download", params={"rater": "ada"})
    is_problem(download, 403, "image_withheld")


def test_consent_is_asked_for_and_kept(studio):
    text = "We keep <script>alert(1)</script> your answers."
    path = f"projects/{studio.project}/consent"
    is_problem(change(studio, consent="x" * 100_000), 422, "invalid_value")
    assert change(studio, consent=text).json()["consent"] == text
    add_group(studio)
    is_problem(studio.next_group(), 403, "consent_needed")
    asked = studio.api("GET", path, params={"rater": "ada"}).json()
    assert (asked["text"], asked["agreed_at"]) == (text, None)
    stale = studio.api("POST", path, json={"rater": "ada", "number": 7})
    is_problem(stale, 409, "consent_changed")
    agreed = studio.api("POST", path, json={"rater": "ada", "number": asked["number"]}).json()
    assert agreed["agreed_at"]
    group = studio.next_group().json()
    assert studio.rate(studio.rating(group)).status_code == 200
    strange = studio.rate(studio.rating(group, rater="bob"))
    is_problem(strange, 403, "consent_needed")


def test_projects_show_no_thumbnail_that_would_be_blurred(studio):
    group = add_group(studio)
    studio.rate(studio.rating(studio.next_group().json()))
    flag(studio, group, 0, 1)
    glance = f"projects/{studio.project}/overview"
    assert len(studio.api("GET", glance).json()["images"]) == 4
    change(studio, settings={"content": "blur"})
    assert len(studio.api("GET", glance).json()["images"]) == 2
