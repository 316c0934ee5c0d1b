"""Bodies, errors and headers that every route shares; and text that was written to do harm."""

from __future__ import annotations

import json

import pytest

from loop_studio.storage import status
from tests.ui.studio import is_problem

JSON = {"content-type": "application/json"}
HOSTILE = [
    "${document.title='x'}<img src=x onerror=alert(1)>",
    "{{ 7*7 }}",
    "'; DROP TABLE ratings; --",
    "../../etc/passwd",
    "a\r\nSet-Cookie: x=y",
    "\u202eright to left \u0000nul",
    "\U0001f600 \u0301 zero\u200bwidth",
    "%00%n%s",
]
ROUTES_WITH_BODIES = [
    ("POST", "projects"),
    ("PATCH", "projects/{project}"),
    ("PUT", "projects/{project}/prompts"),
    ("POST", "ratings"),
    ("POST", "ratings/x/undo"),
    ("POST", "projects/{project}/updates"),
    ("POST", "updates/x/cancel"),
    ("PUT", "projects/{project}/reward"),
    ("POST", "versions/x/activate"),
    ("POST", "projects/{project}/samples"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES_WITH_BODIES)
class TestBodies:
    def ask(self, reader, method, path, **options):
        return reader.api(method, path.format(project=reader.project), **options)

    def test_what_is_not_json_is_400(self, reader, method, path):
        for body in (b"{", b"\xff\xfe", b"{'a': 1}", b"[" * 100_000, b'{"a": 1' + b"0" * 5000):
            answer = self.ask(reader, method, path, content=body, headers=JSON)
            is_problem(answer, 400, "not_json")

    def test_another_content_type_is_415(self, reader, method, path):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            answer = self.ask(reader, method, path, content=b"{}", headers={"content-type": kind})
            is_problem(answer, 415, "unsupported_media_type")

    def test_over_one_mebibyte_is_413(self, reader, method, path):
        large = b" " * (1024 * 1024) + b"{}"
        is_problem(self.ask(reader, method, path, content=large, headers=JSON), 413, "too_large")
        chunks = (b" " * 65536 for _ in range(17))
        is_problem(self.ask(reader, method, path, content=chunks, headers=JSON), 413, "too_large")

    def test_an_unknown_field_is_422_and_named(self, reader, method, path):
        answer = self.ask(reader, method, path, json={"surprise": 1})
        sentence = is_problem(answer, 422, "invalid_value")
        assert "surprise" in sentence or "missing" in sentence

    def test_what_is_no_object_is_422(self, reader, method, path):
        for body in ([], "text", 3, True):
            answer = self.ask(reader, method, path, content=json.dumps(body), headers=JSON)
            is_problem(answer, 422, "invalid_value")

    def test_no_body_means_an_empty_object(self, reader, method, path):
        bare = self.ask(reader, method, path)
        empty = self.ask(reader, method, path, json={})
        assert bare.status_code == empty.status_code
        assert bare.status_code not in {400, 415}


@pytest.mark.parametrize("path", ["", "v1", "v1/", "v1/nothing", "v2/projects", "v1/projects/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_address_is_404(reader, method, path):
    is_problem(reader.client.request(method, f"/api/{path}"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "projects"),
        ("PUT", "ratings"),
        ("GET", "ratings"),
        ("POST", "rewards"),
        ("PUT", "projects/x"),
        ("PATCH", "projects/x/groups/next"),
    ],
)
def test_a_wrong_method_is_405(reader, method, path):
    is_problem(reader.api(method, path), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "projects/{id}"),
        ("PATCH", "projects/{id}"),
        ("GET", "projects/{id}/prompts"),
        ("GET", "projects/{id}/status"),
        ("GET", "projects/{id}/groups/next?rater=ada"),
        ("GET", "projects/{id}/updates"),
        ("POST", "projects/{id}/updates"),
        ("GET", "projects/{id}/reward"),
        ("GET", "projects/{id}/versions"),
        ("GET", "projects/{id}/ratings.jsonl"),
        ("GET", "projects/{id}/ratings.csv"),
        ("GET", "projects/{id}/ratings.parquet"),
        ("GET", "projects/{id}/pickapic.parquet"),
        ("GET", "projects/{id}/dataset.zip"),
        ("GET", "groups/{id}?rater=ada"),
        ("GET", "images/{id}"),
        ("POST", "ratings/{id}/undo"),
        ("GET", "updates/{id}"),
        ("POST", "updates/{id}/cancel"),
        ("POST", "versions/{id}/activate"),
        ("GET", "versions/{id}/lora"),
        ("GET", "samples/{id}"),
    ],
)
@pytest.mark.parametrize("id", ["unknown", "0", "x" * 65, "%00", "%20", "%2e%2e", "a'b", "%F0%9F"])
def test_an_unknown_id_is_404(reader, method, path, id):
    is_problem(reader.api(method, path.format(id=id)), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/images/../../studio.sqlite3",
        "/api/v1/images/..%2f..%2fstudio.sqlite3",
        "/api/v1/images/%2e%2e/%2e%2e/session.key",
        "/api/v1/images//etc/passwd",
        "/api/v1/versions/..%2f..%2fx/lora",
        "/static/../studio.sqlite3",
        "/static/..%2f..%2fpyproject.toml",
        "/static/%2e%2e/pyproject.toml",
        "/static//etc/passwd",
        "/static/swagger/../../pyproject.toml",
        "/static/\\..\\pyproject.toml",
        "/static/swagger",
        "/static/",
    ],
)
def test_no_path_leads_out_of_its_folder(reader, path):
    answer = reader.raw("GET", path)
    assert answer.status_code in {404, 405}
    assert b"[project]" not in answer.body
    assert b"SQLite" not in answer.body


@pytest.mark.parametrize("text", HOSTILE)
def test_text_comes_back_as_it_went_in_or_is_refused(studio, text):
    made = studio.api("POST", "projects", json={"name": text, "prompts": ["a red circle"]})
    if "\u0000" in text:
        is_problem(made, 422, "invalid_value")
    else:
        assert made.status_code == 201
        assert made.json()["name"] == text
        assert made.headers["content-type"] == "application/json"


def test_half_a_character_is_refused_everywhere(studio):
    half = '"\\ud800"'
    bodies = {
        "projects": f'{{"name": {half}}}',
        "ratings": f'{{"event_id": {half}}}',
    }
    for path, body in bodies.items():
        answer = studio.api("POST", path, content=body, headers=JSON)
        is_problem(answer, 422, "invalid_value")
    for body in (f"{{{half}: 1}}", f'{{"name": "a", "settings": {{{half}: 1}}}}'):
        answer = studio.api("POST", "projects", content=body, headers=JSON)
        is_problem(answer, 422, "invalid_value")


def test_numbers_that_are_text_or_truth_are_refused(reader):
    for value in ("1", True, [1], {"a": 1}):
        answer = reader.api("PUT", f"projects/{reader.project}/reward", json={"human": value})
        assert "human must be a number" in is_problem(answer, 422, "invalid_value")


def test_numbers_beyond_all_bounds_are_refused(studio):
    path = f"projects/{studio.project}/reward"
    for number in ("1e999", "-1e999", "NaN", "Infinity", "1" + "0" * 400, "-1"):
        body = f'{{"human": {number}}}'
        answer = studio.api("PUT", path, content=body, headers=JSON)
        is_problem(answer, 422, "invalid_value")
    assert studio.api("GET", path).json()["human"] == 1.0


def test_an_unexpected_failure_is_a_plain_500(studio, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("secret internals")

    monkeypatch.setattr(status, "status", broken)
    answer = studio.api("GET", f"projects/{studio.project}/status")
    sentence = is_problem(answer, 500, "internal_error")
    assert "secret" not in sentence
    assert answer.headers["x-loop-release"]
    assert f"unexpected RuntimeError at GET '/api/v1/projects/{studio.project}" in caplog.text


def test_every_json_answer_is_never_stored(reader):
    for path in ("projects", "rewards", f"projects/{reader.project}/status", "openapi.json"):
        answer = reader.api("GET", path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"


def test_the_front_door_leads_to_rating_and_keeps_the_query(reader):
    answer = reader.client.get("/?project=abc&x=%20", follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"] == "/rate?project=abc&x=%20"
    below = reader.client.get("/", headers={"x-forwarded-prefix": "/a/b"}, follow_redirects=False)
    assert below.headers["location"] == "/a/b/rate"


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", "/..", "/a\\b", "a", "/<script>"])
def test_a_prefix_that_is_no_path_is_ignored(reader, prefix):
    answer = reader.client.get("/", headers={"x-forwarded-prefix": prefix}, follow_redirects=False)
    assert answer.headers["location"] == "/rate"
