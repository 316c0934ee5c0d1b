"""The whole API against requests made up from its own description: a sentence, never an accident.

Ids of things that exist are put into the paths now and then, or every request would end at 404.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from sqlalchemy import text

from tests.ui.conftest import studio_in
from tests.ui.studio import HOST, Studio, add_group

SHORT, LONG = 2, 60  # requests of each kind to each route


def furnished(studio: Studio) -> dict[str, str]:
    """Something of every kind; its id by the word that stands before it in a path."""
    groups = [add_group(studio, shade=40 * number) for number in range(6)]
    for _ in range(4):
        rated = studio.rating(studio.next_group().json())
        assert studio.rate(rated).status_code == 200
    path = f"projects/{studio.project}"
    made = {
        name: studio.api("POST", f"{path}/{name}", body).json()["id"]
        for name, body in (
            ("samples", {"prompts": ["a red fish"], "seeds": [1]}),
            ("schedules", {"cron": "0 3 * * *"}),
            ("updates", {}),
        )
    }
    return made | {
        "projects": studio.project,
        "groups": groups[0].id,
        "images": rated["order"][0],
        "ratings": rated["event_id"],
        "versions": studio.api("GET", f"{path}/versions").json()["versions"][0]["id"],
    }


@pytest.fixture
def furniture(started, tmp_path) -> Iterator[tuple[Studio, dict[str, str]]]:
    studio = studio_in(started, tmp_path / "data")
    with studio.client:
        yield studio, furnished(studio)
    studio.db.dispose()


def fuzz(studio: Studio, ids: dict[str, str], examples: int, number: int) -> None:
    """Send so many requests of either kind to every route; no answer may be wrong."""
    document = studio.client.get("/api/v1/openapi.json").json()
    faults = [
        fault
        for found in schemathesis.openapi.from_dict(document).get_all_operations()
        if found.ok().path != "/healthz"  # its 503 is an answer, in a shape of its own
        for kind in kinds(found.ok())
        for fault in attacked(studio, ids, found.ok(), kind, examples, number)
    ]
    assert faults == []


def kinds(operation: Any) -> list[GenerationMode]:
    """Right requests and wrong ones; of ids alone `test_hardening` has the wrong ones."""
    described = operation.definition.raw
    places = {part["in"] for part in described.get("parameters", ())}
    if "requestBody" in described or "query" in places:
        return [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    return [GenerationMode.POSITIVE]


def attacked(
    studio: Studio, ids: dict[str, str], operation: Any, kind: Any, examples: int, number: int
) -> list[str]:
    faults: list[str] = []

    @seed(number)
    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=kind), draw=st.data())
    def attack(case: Any, draw: st.DataObject) -> None:
        for word, name in re.findall(r"(\w+)/\{(\w+)\}", operation.path):
            if word in ids and not draw.draw(st.booleans()):
                case.path_parameters = {**case.path_parameters, name: ids[word]}
        faults.extend(filter(None, [sent(studio, case)]))

    with contextlib.suppress(Unsatisfiable):  # a route that takes nothing has no wrong request
        attack()
    return faults


def sent(studio: Studio, case: Any) -> str:
    """What is wrong with the answer to this request; an empty string if nothing."""
    asked = case.as_transport_kwargs(base_url=f"http://{HOST}")
    body = {"json": asked["json"]} if "json" in asked else {"content": asked.get("data")}
    try:
        answer = studio.client.request(
            asked["method"],
            asked["url"],
            params=asked.get("params"),
            headers={**asked["headers"], "host": HOST},
            follow_redirects=False,
            **body,
        )
    except httpx2.InvalidURL:  # longer than this client sends
        return ""
    is_sentence = answer.status_code < 400 or (
        answer.json().get("code") and str(answer.json().get("detail", "")).strip()
    )
    if answer.status_code < 500 and is_sentence:
        return ""
    return f"{asked['method']} {answer.url} {body}: {answer.status_code} {answer.text[:300]}"


def is_whole(studio: Studio) -> None:
    """Nothing that was sent broke the database, and the studio still works."""
    with studio.db.read() as session:
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
        assert session.execute(text("PRAGMA foreign_key_check")).all() == []
    listed = studio.api("GET", "projects").json()["projects"]
    assert "starter" in {project["id"] for project in listed}
    for project in listed:
        for page in ("status", "versions", "updates", "prompts", "reward", "ratings.jsonl"):
            assert studio.api("GET", f"projects/{project['id']}/{page}").status_code == 200


def test_a_few_requests_of_every_kind_to_every_route_make_no_accident(furniture) -> None:
    studio, ids = furniture
    fuzz(studio, ids, SHORT, number=7)
    is_whole(studio)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(3))
def test_many_requests_of_every_kind_to_every_route_make_no_accident(furniture, number) -> None:
    studio, ids = furniture
    fuzz(studio, ids, LONG, number)
    is_whole(studio)
