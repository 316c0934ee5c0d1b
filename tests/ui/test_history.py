"""What a rater has judged, through HTTP: found again, marked, downloaded, and judged anew."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from loop_studio.storage import groups, projects
from tests.ui.studio import Studio, add_group, is_problem


def images(studio: Studio, group: str) -> list[str]:
    return [image.id for image in groups.images(studio.db, group)]


def judge(studio: Studio, group: str, rater: str = "ada", best: int | None = 0) -> None:
    """Best of the group; `best` None says that none is good."""
    shown = {"id": group, "images": [{"id": image} for image in images(studio, group)]}
    body = studio.rating(shown, rater=rater, best=-1 if best is None else best)
    assert studio.rate(body).status_code == 200


def history(studio: Studio, rater: str = "ada", **asked: Any) -> dict[str, Any]:
    path = f"projects/{studio.project}/history"
    answer = studio.api("GET", path, params={"rater": rater, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer: dict[str, Any]) -> list[str]:
    return [group["id"] for group in answer["groups"]]


@pytest.fixture
def made(studio: Studio) -> list[str]:
    return [add_group(studio, shade=shade).id for shade in range(4)]


def test_only_ones_own_judgements_that_count_are_listed_oldest_first(studio, made) -> None:
    judge(studio, made[1])
    judge(studio, made[0], best=None)
    judge(studio, made[2], rater="bob")
    judge(studio, made[1], best=3)  # supersedes, and comes last
    found = history(studio)
    assert ids(found) == [made[0], made[1]]
    assert [group["verdict"] for group in found["groups"]] == ["none", "preferred"]
    assert not found["more"]
    pushes = [image["advantage"] for image in found["groups"][1]["images"]]
    assert sorted(pushes) == pytest.approx([-0.25, -0.25, -0.25, 0.75])


def test_the_newest_come_first_in_pages_that_neither_repeat_nor_leave_out(studio, made) -> None:
    for group in made:
        judge(studio, group)
    first = history(studio, limit=3)
    assert ids(first) == made[1:]
    assert first["more"]
    rest = history(studio, limit=3, before=first["groups"][0]["sequence"])
    assert ids(rest) == made[:1]
    assert not rest["more"]


def test_filters_are_of_words_version_verdict_flag_and_favourite(studio, made) -> None:
    for group in made[:3]:
        judge(studio, group)
    studio.rate(
        {"event_id": "s", "group_id": made[3], "rater": "ada", "mode": "skip", "judgement": {}}
    )
    assert ids(history(studio, verdict="skipped")) == [made[3]]
    assert ids(history(studio, verdict="preferred")) == made[:3]
    assert ids(history(studio, prompt="RED")) == made  # every group is of a red circle
    assert ids(history(studio, prompt="100%")) == []
    assert ids(history(studio, version=0)) == made
    assert ids(history(studio, version=1)) == []
    body = {"rater": "ada", "flagged": True, "note": "two moons"}
    assert studio.api("PUT", f"groups/{made[1]}/remark", json=body).json() == body
    assert ids(history(studio, flagged="true")) == [made[1]]
    assert history(studio, flagged="true")["groups"][0]["note"] == "two moons"
    image = images(studio, made[2])[1]
    studio.api("PUT", f"images/{image}/favourite", json={"rater": "ada", "favourite": True})
    (kept,) = history(studio, favourite="true")["groups"]
    assert kept["id"] == made[2]
    assert [one["id"] for one in kept["images"] if one["favourite"]] == [image]
    studio.api("PUT", f"images/{image}/favourite", json={"rater": "ada", "favourite": False})
    assert ids(history(studio, favourite="true")) == []
    assert ids(history(studio, rater="bob", flagged="true")) == []


def test_pictures_are_ones_own_to_keep_only_once_judged(studio, made) -> None:
    image = images(studio, made[0])[2]
    body = {"rater": "ada", "favourite": True}
    is_problem(studio.api("PUT", f"images/{image}/favourite", json=body), 403, "forbidden")
    refused = studio.api("GET", f"images/{image}/download", params={"rater": "ada"})
    is_problem(refused, 403, "forbidden")
    judge(studio, made[0])
    answer = studio.api("GET", f"images/{image}/download", params={"rater": "ada"})
    assert answer.headers["content-type"] == "image/png"
    stored = Image.open(io.BytesIO(studio.api("GET", f"images/{image}").content))
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.tobytes() == stored.tobytes()
    config = projects.config(studio.db, studio.project)
    seed = history(studio)["groups"][0]["images"][2]["seed"]
    assert picture.text["prompt"] == "a red circle"
    assert picture.text["seed"] == str(seed)
    assert picture.text["version"] == "0"
    assert picture.text["guidance_scale"] == str(config.guidance_scale)
    assert picture.text["parameters"].startswith("a red circle\nseed: ")
    assert f"seed-{seed}.png" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"limit": 101}, {"verdict": "fine"}, {"version": -1}, {"colour": "red"}]
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(studio, asked) -> None:
    path = f"projects/{studio.project}/history"
    is_problem(studio.api("GET", path, params={"rater": "ada", **asked}), 422, "invalid_value")


def test_a_note_may_be_long_and_not_endless(studio, made) -> None:
    path = f"groups/{made[0]}/remark"
    body = {"rater": "ada", "flagged": False, "note": "x" * 2000}
    assert studio.api("PUT", path, json=body).status_code == 200
    is_problem(studio.api("PUT", path, json={**body, "note": "x" * 2001}), 422, "invalid_value")


def test_guidelines_are_the_projects_own(studio) -> None:
    path = f"projects/{studio.project}"
    text = "Prefer clear shapes.\n\nIgnore the colour of the background. ${1} <b>"
    assert (
        studio.api("PATCH", path, json={"guidelines": f"  {text}\n"}).json()["guidelines"] == text
    )
    assert studio.api("PATCH", path, json={"name": "Shapes"}).json()["guidelines"] == text
    assert studio.api("GET", path).json()["guidelines"] == text
    is_problem(studio.api("PATCH", path, json={"guidelines": "x" * 20_001}), 422, "invalid_value")


@pytest.mark.parametrize(
    ("mode", "values"),
    [
        ("best", [1, 0.5, 0, 0]),
        ("stars", [5, 1, None, 3]),
        ("rank", [1, 2, 2, 4]),
        ("good", [1] * 4),
    ],
)
def test_a_preview_is_what_the_rating_then_gets_and_stores_nothing(
    studio, made, mode, values
) -> None:
    judgement = dict(zip(images(studio, made[0]), values, strict=True))
    path = f"groups/{made[0]}/preview"
    worth = studio.api("POST", path, json={"mode": mode, "judgement": judgement}).json()
    assert studio.api("GET", f"projects/{studio.project}/status").json()["ratings"] == 0
    shown = {"id": made[0], "images": [{"id": image} for image in judgement]}
    stored = studio.rate(studio.rating(shown, mode=mode, judgement=judgement)).json()
    assert worth == {name: stored[name] for name in worth}
    assert worth["usable"] is (len({v for v in values if v is not None}) > 1)


def test_a_preview_refuses_what_a_rating_would_refuse(studio, made) -> None:
    body = {"mode": "best", "judgement": {images(studio, made[1])[0]: 1.0}}
    is_problem(studio.api("POST", f"groups/{made[0]}/preview", json=body), 422, "invalid_value")


@pytest.mark.parametrize(
    ("elapsed", "too_fast"), [(0, True), (119, True), (120, False), (None, False)]
)
def test_a_judgement_faster_than_sight_is_kept_and_marked(studio, made, elapsed, too_fast) -> None:
    shown = {"id": made[0], "images": [{"id": image} for image in images(studio, made[0])]}
    stored = studio.rate(studio.rating(shown, elapsed_ms=elapsed)).json()
    assert stored["too_fast"] is too_fast
    assert stored["usable"]
