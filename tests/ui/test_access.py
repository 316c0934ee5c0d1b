"""The door: Host, Origin and credentials, on every kind of address."""

from __future__ import annotations

import re

import pytest
from starlette.websockets import WebSocketDisconnect

from loop_studio import __version__
from loop_studio.ui.sessions import Attempts

ADDRESSES = [
    ("GET", "/api/v1/projects"),
    ("POST", "/api/v1/projects"),
    ("PATCH", "/api/v1/projects/p"),
    ("GET", "/api/v1/projects/p/groups/next?rater=ada"),
    ("GET", "/api/v1/images/i"),
    ("POST", "/api/v1/ratings"),
    ("GET", "/api/v1/projects/p/ratings.jsonl"),
    ("GET", "/api/v1/versions/v/lora"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/docs"),
    ("GET", "/static/swagger/swagger-ui.css"),
    ("OPTIONS", "/api/v1/projects"),
    ("DELETE", "/api/v1/projects"),
    ("GET", "/nothing/here"),
    ("GET", "/"),
]
GRADIO = [
    ("GET", "/config"),
    ("GET", "/gradio_api/info"),
    ("POST", "/gradio_api/queue/join"),
    ("GET", "/gradio_api/queue/data?session_hash=a"),
    ("POST", "/gradio_api/run/predict"),
    ("POST", "/gradio_api/call/predict"),
    ("GET", "/gradio_api/heartbeat/a"),
    ("POST", "/gradio_api/component_server"),
    ("POST", "/gradio_api/upload"),
    ("GET", "/gradio_api/file=/etc/passwd"),
    ("GET", "/gradio_api/startup-events"),
    ("GET", "/theme.css"),
    ("GET", "/rate"),
    ("GET", "/train"),
    ("GET", "/versions"),
    ("GET", "/settings"),
]


def ask(client, method, path, **headers):
    return client.request(method, path, headers=headers, follow_redirects=False)


@pytest.mark.parametrize(("method", "path"), ADDRESSES + GRADIO)
def test_nothing_is_told_to_a_stranger(locked_reader, method, path):
    answer = ask(locked_reader.client, method, path)
    assert answer.status_code == 401
    assert answer.json()["code"] == "sign_in_required"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"


def test_what_a_stranger_may_see(locked_reader):
    assert locked_reader.client.get("/healthz").status_code == 200
    assert "Password" in locked_reader.client.get("/login").text
    assert locked_reader.client.get("/static/sign-in.css").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../healthz/../api/v1/projects",
        "/healthz/../api/v1/projects",
        "/login/../api/v1/projects",
        "//healthz",
        "/healthz/",
        "/login/",
        "/healthz%2f..%2fapi%2fv1%2fprojects",
        "/static/sign-in.css/../swagger/swagger-ui.css",
        "/static/sign-in.css%00",
        "/HEALTHZ",
    ],
)
def test_no_spelling_of_an_open_address_opens_another(locked_reader, path):
    answer = locked_reader.raw("GET", path)
    assert answer.status_code == 401


def test_a_prefix_header_opens_nothing(locked_reader):
    for prefix in ("/api/v1", "/healthz", "/static", "/login"):
        for path in ("/api/v1/projects", "/healthz/api/v1/projects", "/login/rate"):
            answer = ask(locked_reader.client, "GET", path, **{"x-forwarded-prefix": prefix})
            assert answer.status_code in {401, 404}, (prefix, path)
            assert "projects" not in answer.text


def test_the_password_opens_as_a_bearer(locked):
    good = ask(locked.client, "GET", "/api/v1/projects", authorization="Bearer correct horse")
    assert good.status_code == 200
    for wrong in ("Bearer wrong", "Bearer ", "Bearer", "Basic correct horse", "correct horse"):
        answer = ask(locked.client, "GET", "/api/v1/projects", authorization=wrong)
        assert answer.status_code == 401, wrong


def test_a_visitor_is_led_to_the_sign_in_page_and_back(locked):
    client = locked.client
    sent = ask(client, "GET", "/rate?project=abc", accept="text/html")
    assert sent.status_code == 303
    assert sent.headers["location"] == "/login?next=%2Frate%3Fproject%3Dabc"
    page = client.get(sent.headers["location"])
    assert 'value="/rate?project=abc"' in page.text
    form = {"password": "correct horse", "next": "/rate?project=abc"}
    let_in = client.post("/login", data=form, follow_redirects=False)
    assert let_in.status_code == 303
    assert let_in.headers["location"] == "/rate?project=abc"
    cookie = let_in.headers["set-cookie"]
    assert re.search(r"HttpOnly; Max-Age=\d+; Path=/; SameSite=lax$", cookie), cookie
    assert client.get("/api/v1/projects").status_code == 200
    client.post("/logout", headers={"origin": locked.origin}, follow_redirects=False)
    assert client.get("/api/v1/projects").status_code == 401


def test_over_https_the_cookie_is_secure(locked):
    client = locked.over_https()
    answer = client.post("/login", data={"password": "correct horse"}, follow_redirects=False)
    assert "Secure" in answer.headers["set-cookie"]


def test_sign_in_never_leads_to_another_site(locked):
    for wanted in ("//evil.example", "https://evil.example", "/\\evil.example"):
        form = {"password": "correct horse", "next": wanted}
        answer = locked.client.post("/login", data=form, follow_redirects=False)
        assert answer.headers["location"] == "/"


def test_the_sign_in_page_shows_text_as_text(locked_reader):
    hostile = "/\"><script>alert(1)</script>${document.title='x'}"
    page = locked_reader.client.get("/login", params={"next": hostile})
    assert "<script" not in page.text


@pytest.mark.parametrize("way", ["form", "bearer"])
def test_wrong_passwords_run_out(locked, way):
    client = locked.client

    def attempt(password):
        if way == "form":
            return client.post("/login", data={"password": password}, follow_redirects=False)
        return ask(client, "GET", "/api/v1/projects", authorization=f"Bearer {password}")

    for _ in range(Attempts.LIMIT):
        assert attempt("wrong").status_code == 401
    for password in ("wrong", "correct horse"):
        blocked = attempt(password)
        assert blocked.status_code == 429
        assert 1 <= int(blocked.headers["retry-after"]) <= 60


def test_a_session_outlives_the_wrong_passwords_of_others(locked):
    locked.client.post("/login", data={"password": "correct horse"}, follow_redirects=False)
    for _ in range(Attempts.LIMIT + 1):
        locked.client.post("/login", data={"password": "wrong"})
    assert locked.client.get("/api/v1/projects").status_code == 200


def test_a_session_outlives_a_restart_but_not_a_new_password(locked):
    locked.client.post("/login", data={"password": "correct horse"}, follow_redirects=False)
    cookies = dict(locked.client.cookies)
    again = locked.restarted()
    again.cookies.update(cookies)
    assert again.get("/api/v1/projects").status_code == 200
    changed = locked.restarted(password="another")
    changed.cookies.update(cookies)
    assert changed.get("/api/v1/projects").status_code == 401


@pytest.mark.parametrize(("method", "path"), ADDRESSES + GRADIO[:4])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": "http://evil.example"}, "foreign_origin"),
        ({"origin": "null"}, "foreign_origin"),
        ({"origin": "http://127.0.0.1:3000"}, "foreign_origin"),
        ({"host": "evil.example"}, "unknown_host"),
        ({"host": "127.0.0.1.evil.example:7860"}, "unknown_host"),
        ({"host": ""}, "unknown_host"),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, "foreign_origin"),
    ],
)
def test_foreign_pages_and_names_are_refused(reader, method, path, headers, code):
    answer = ask(reader.client, method, path, **headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == code


def test_credentials_do_not_make_a_foreign_page_own(locked_reader):
    headers = {"authorization": "Bearer correct horse", "origin": "http://evil.example"}
    answer = ask(locked_reader.client, "POST", "/api/v1/projects", **headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_health_and_sign_in_also_check_host_and_origin(locked_reader):
    client = locked_reader.client
    for method, path in (("GET", "/healthz"), ("GET", "/login"), ("POST", "/login")):
        assert ask(client, method, path, host="evil.example").status_code == 403
        assert ask(client, method, path, origin="http://evil.example").status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:7860"},
        {"host": "localhost:7860", "origin": "http://localhost:7860"},
        {"host": "[::1]:7860", "origin": "http://[::1]:7860"},
        {"host": "studio.example", "origin": "https://studio.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
    ],
)
def test_own_pages_and_scripts_are_let_in(studio_with, headers):
    studio = studio_with(allowed_hosts=("studio.example",))
    assert ask(studio.client, "GET", "/api/v1/projects", **headers).status_code == 200


def test_a_websocket_is_checked_too(locked, studio):
    for client, headers in (
        (locked.client, {}),
        (studio.client, {"origin": "http://evil.example"}),
    ):
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect("/gradio_api/queue", headers=headers),
        ):
            pass
        assert closed.value.code == 1008


def test_gradios_uploads_runs_and_recorder_are_shut(reader):
    for path in ("upload", "upload/", "upload_progress", "runs", "process_recording"):
        for method in ("GET", "POST"):
            answer = ask(reader.client, method, f"/gradio_api/{path}")
            assert answer.status_code == 404
            assert answer.json()["code"] == "not_found"


def test_every_answer_carries_the_release(locked_reader):
    for path in ("/healthz", "/login", "/api/v1/projects", "/static/sign-in.css", "/nothing"):
        assert locked_reader.client.get(path).headers["x-loop-release"] == __version__


def test_no_answer_may_be_framed_or_sniffed(reader):
    for path in ("/api/v1/projects", "/api/docs", "/static/sign-in.css"):
        headers = reader.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors" in headers["content-security-policy"]
