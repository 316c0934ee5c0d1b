"""Every route at once: foreign pages, hostile ids, and the headers of the answers."""

from __future__ import annotations

import re

import pytest

from loop_studio.ui.answer_headers import NO_PAGE, OWN_PAGE, gradio_policy

UNSAFE = {"post", "put", "patch", "delete"}
FOREIGN = ("http://evil.example", "null")
ELSEWHERE = [
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2Fetc%2Fpasswd",
    "..%5c..%5cwindows%5cwin.ini",
    "session.key",
    "..%00.png",
    "..",
    "../../../etc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "..%252f..%252fetc%252fpasswd",
    "/etc/passwd",
    "....//....//etc/passwd",
    "file:%2F%2F%2Fetc%2Fpasswd",
    "%c0%ae%c0%ae%2fetc%2fpasswd",
    "~root",
]


@pytest.fixture(scope="module")
def routes(reader) -> list[tuple[str, str]]:
    """Method and path of every route that the documentation lists."""
    paths = reader.client.get("/api/v1/openapi.json").json()["paths"]
    return [(method, path) for path, methods in paths.items() for method in methods]


def filled(path: str, value: str = "x") -> str:
    return re.sub(r"\{\w+\}", lambda _: value, path)


def test_no_route_lets_a_page_of_another_site_change_anything(reader, routes) -> None:
    unsafe = [(method, path) for method, path in routes if method in UNSAFE]
    assert len(unsafe) > 40
    for method, path in [*unsafe, ("post", "/login"), ("post", "/logout")]:
        for origin in FOREIGN:
            answer = reader.client.request(method, filled(path), headers={"origin": origin})
            assert answer.status_code == 403, (method, path)
            assert answer.json()["code"] == "foreign_origin"
            assert "access-control-allow-origin" not in answer.headers


def test_no_route_answers_to_a_name_that_was_rebound(reader, routes) -> None:
    for method, path in routes:
        answer = reader.client.request(method, filled(path), headers={"host": "evil.example:7860"})
        assert (answer.status_code, answer.json()["code"]) == (403, "unknown_host"), (method, path)


@pytest.mark.parametrize("place", ELSEWHERE[:6])
def test_no_id_leads_to_a_file_elsewhere(reader, routes, place) -> None:
    """As the address is sent: no client has tidied it up."""
    for method, path in routes:
        if "{" not in path:
            continue
        answer = reader.raw(method.upper(), filled(path, place))
        nothing_to_delete = {204} if method == "delete" else set()
        assert answer.status_code in {404, 409, 415, 422} | nothing_to_delete, (method, path)
        assert b"root:" not in answer.body


def test_static_files_end_at_their_folder(reader) -> None:
    for place in ELSEWHERE:
        answer = reader.raw("GET", f"/static/{place}")
        assert answer.status_code in {404, 405}, place


def test_every_answer_carries_the_headers(reader) -> None:
    for path, status in (
        ("/api/v1/projects", 200),
        ("/api/docs", 200),
        ("/rate/plain", 200),
        ("/static/pages.js", 200),
        ("/healthz", 200),
        ("/api/v1/projects/none", 404),
        ("/nothing", 404),
        ("/", 307),
    ):
        answer = reader.client.get(path, follow_redirects=False)
        assert answer.status_code == status
        is_page = answer.headers.get("content-type", "").startswith("text/html")
        assert answer.headers["content-security-policy"] == (OWN_PAGE if is_page else NO_PAGE)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in answer.headers["permissions-policy"]
        assert "strict-transport-security" not in answer.headers


def test_the_refusals_of_the_door_and_an_accident_carry_them_too(studio, monkeypatch) -> None:
    monkeypatch.setattr("loop_studio.storage.projects.all", lambda _: 1 / 0)
    refused = studio.client.get("/api/v1/projects", headers={"host": "evil.example"})
    failed = studio.client.get("/api/v1/projects")
    assert (refused.status_code, failed.status_code) == (403, 500)
    for answer in (refused, failed):
        assert answer.headers["content-security-policy"] == NO_PAGE
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_transport_security_is_asked_for_behind_tls_alone(reader) -> None:
    answer = reader.client.get("/healthz", headers={"x-forwarded-proto": "https"})
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert "preload" not in answer.headers["strict-transport-security"]


def test_a_gradio_page_runs_the_scripts_that_it_came_with_and_no_other() -> None:
    page = b"<script>one()</script><script type='module' src='x.js'></script><p onclick=two()>"
    policy = gradio_policy(page)
    assert policy.count("'sha256-") == 1
    scripts = re.search(r"script-src ([^;]*)", policy)
    assert scripts is not None
    assert "'unsafe-inline'" not in scripts.group(1)
