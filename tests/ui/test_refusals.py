"""The line in the log that tells an administrator who was refused what, and why."""

from __future__ import annotations

import logging

import pytest

from loop_studio.ui import refusals
from tests.ui.studio import PASSWORD


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture):
    """The lines that were logged until now."""
    caplog.set_level(logging.INFO, logger=refusals.log.name)
    return lambda: [record.getMessage() for record in caplog.records if "refused" in record.msg]


def test_a_line_says_who_what_and_why(studio_with, lines) -> None:
    studio = studio_with()
    headers = {"origin": "http://evil.example", "x-forwarded-for": "203.0.113.9"}
    studio.client.post("/api/v1/projects?token=hidden", headers=headers, json={"name": "hidden"})
    assert lines() == [
        "refused 403 foreign_origin: POST /api/v1/projects from 203.0.113.9 with Origin "
        "http://evil.example: A page of another site sent this request."
    ]


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/api/v1/projects", {"headers": {"host": "evil.example"}}, 403),
        ("POST", "/api/v1/projects", {"content": b"{"}, 415),
        ("POST", "/api/v1/projects", {"json": {"name": ""}}, 422),
        ("POST", "/api/v1/projects", {"content": b" " * 1_100_000}, 413),
        ("DELETE", "/api/v1/projects", {}, 405),
        ("GET", "/api/v1/projects/none", {}, 404),
        ("GET", "/.env", {}, 404),
        ("GET", "/static/none.js", {}, 404),
    ],
)
def test_every_kind_of_refusal_has_its_line(
    studio_with, lines, method, path, options, status
) -> None:
    answer = studio_with().client.request(method, path, **options)
    assert answer.status_code == status
    problem = answer.json()
    (line,) = lines()
    assert line.startswith(f"refused {status} {problem['code']}: {method} {path} from 127.0.0.1")
    assert problem["detail"] in line


def test_no_secret_gets_into_the_log(studio_with, lines) -> None:
    studio = studio_with(password=PASSWORD)
    studio.client.get("/api/v1/projects", headers={"authorization": "Bearer tr0ub4dor"})
    studio.client.post("/login", data={"password": "tr0ub4dor"})
    studio.client.get("/api/v1/projects?key=tr0ub4dor", headers={"cookie": "a=tr0ub4dor"})
    studio.client.get("/guest/tr0ub4dor-and-a-long-tail", headers={"host": "evil.example"})
    assert len(lines()) == 4
    assert "tr0ub4dor" not in "\n".join(lines())


def test_nobody_writes_lines_of_their_own(studio_with, lines) -> None:
    studio = studio_with()
    studio.client.get("/api/v1/projects/a%0Arefused%20403%0D%1b[2J")
    studio.client.post("/api/v1/projects", json={"name\nrefused 500 x": 1})
    assert len(lines()) == 2
    assert all(line.isprintable() for line in lines())


def test_a_flood_does_not_fill_the_disk_and_is_counted(
    studio_with, lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = studio_with()
    now = 1000.0
    monkeypatch.setattr(refusals.time, "monotonic", lambda: now)
    for _ in range(refusals.LINES_PER_MINUTE + 40):
        studio.client.get("/api/v1/nothing")
    assert len(lines()) == refusals.LINES_PER_MINUTE
    studio.client.get("/api/v1/nothing", headers={"x-forwarded-for": "203.0.113.9"})
    assert "from 203.0.113.9" in lines()[-1]
    now += 60
    studio.client.get("/api/v1/nothing")
    assert lines()[-1].endswith("(40 more of this address were not written down)")
