"""The whole web server with its pages, on a real port: what ASGI alone cannot show."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from loop_studio.storage import groups
from loop_studio.ui.connections import configuration
from tests.ui.conftest import studio_in
from tests.ui.studio import PASSWORD, Studio, add_group

BEARER = {"authorization": f"Bearer {PASSWORD}"}
PAGES = (
    "/rate",
    "/rate/plain",
    "/history",
    "/train",
    "/versions",
    "/compare",
    "/playground",
    "/rewards",
    "/settings",
    "/projects",
)
# Every address of Gradio 6.31 that tells, changes or serves something.
GRADIO = [
    ("GET", "/config"),
    ("GET", "/config/"),
    ("GET", "/gradio_api/info"),
    ("GET", "/gradio_api/openapi.json"),
    ("GET", "/gradio_api/user"),
    ("GET", "/gradio_api/login_check"),
    ("GET", "/gradio_api/token"),
    ("GET", "/gradio_api/app_id"),
    ("GET", "/gradio_api/startup-events"),
    ("GET", "/gradio_api/heartbeat/session"),
    ("GET", "/gradio_api/queue/data?session_hash=session"),
    ("GET", "/gradio_api/queue/status"),
    ("GET", "/gradio_api/file=/etc/hostname"),
    ("GET", "/gradio_api/file//etc/hostname"),
    ("GET", "/gradio_api/proxy=http://127.0.0.1/"),
    ("GET", "/gradio_api/stream/session/1/1/playlist.m3u8"),
    ("GET", "/gradio_api/deep_link?session_hash=session"),
    ("GET", "/gradio_api/runs"),
    ("GET", "/gradio_api/vibe-code"),
    ("GET", "/gradio_api/dev/reload"),
    ("GET", "/monitoring"),
    ("GET", "/monitoring/summary"),
    ("GET", "/theme.css"),
    ("GET", "/manifest.json"),
    ("GET", "/assets/index.js"),
    ("GET", "/static/../config"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/run/predict"),
    ("POST", "/gradio_api/api/predict"),
    ("POST", "/gradio_api/call/predict"),
    ("POST", "/gradio_api/call/v2/predict"),
    ("POST", "/gradio_api/component_server"),
    ("POST", "/gradio_api/process_recording"),
    ("POST", "/gradio_api/upload"),
    ("POST", "/gradio_api/reset"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/vibe-edit"),
    ("POST", "/login/"),
    *(("GET", page) for page in PAGES),
]


def config_of(page: httpx.Response) -> dict[str, Any]:
    """What Gradio tells its own frontend."""
    found = re.search(r"window\.gradio_config = (\{.*?\});</script>", page.text, re.DOTALL)
    assert found is not None
    told: dict[str, Any] = json.loads(found.group(1))
    return told


@dataclass
class Served:
    """A studio behind a real socket."""

    studio: Studio
    client: httpx.Client

    @property
    def origin(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        return self.client.request(method, path, headers=headers)


def serve(studio: Studio) -> Iterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(configuration(studio.app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=origin, timeout=30) as client:
        yield Served(studio, client)
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive()
    studio.db.dispose()


@pytest.fixture(scope="module")
def open_studio(started: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("served") / "data"
    yield from serve(studio_in(started, data, with_pages=True))


@pytest.fixture(scope="module")
def locked_studio(started: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("served") / "data"
    yield from serve(studio_in(started, data, with_pages=True, password=PASSWORD))


@pytest.mark.parametrize(("method", "path"), GRADIO)
def test_gradio_tells_a_stranger_nothing(locked_studio, method, path):
    answer = locked_studio.ask(method, path)
    assert answer.status_code == 401
    assert answer.json()["code"] == "sign_in_required"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("method", "path"), GRADIO)
def test_gradio_answers_no_foreign_page(open_studio, method, path):
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        answer = open_studio.ask(method, path, **headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_gradio_reflects_no_origin_not_even_our_own(open_studio):
    answer = open_studio.ask("GET", "/theme.css", origin=open_studio.origin)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    preflight = {"origin": open_studio.origin, "access-control-request-method": "POST"}
    answer = open_studio.ask("OPTIONS", "/gradio_api/queue/join", **preflight)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_the_password(locked_studio, page):
    answer = locked_studio.ask("GET", page, **BEARER)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-loop-release"]


def test_a_visitor_of_a_page_is_led_to_sign_in(locked_studio):
    answer = locked_studio.ask("GET", "/train?project=abc", accept="text/html,*/*")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Ftrain%3Fproject%3Dabc"


def test_gradio_is_open_for_what_its_pages_ask_for_and_nothing_else(open_studio):
    needed = {"/theme.css", "/manifest.json", *PAGES}
    for method, path in GRADIO:
        answer = open_studio.ask(method, path)
        if path in needed:
            assert answer.status_code == 200, path
        elif path.startswith("/assets/"):
            assert answer.status_code == 404
        else:
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
            assert answer.json()["detail"].endswith(".")
    script = re.search(r'src="\./(assets/[^"]+\.js)"', open_studio.ask("GET", "/rate").text)
    assert script is not None
    assert open_studio.ask("GET", f"/{script.group(1)}").status_code == 200


def test_a_page_of_gradios_runs_under_the_policy_of_its_own_scripts(open_studio):
    policy = open_studio.ask("GET", "/rate").headers["content-security-policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert scripts.startswith("script-src 'self' 'unsafe-eval' 'sha256-")
    assert "'unsafe-inline'" not in scripts
    assert "http" not in policy


def test_gradios_history_details_footer_and_uploads_are_off(open_studio):
    config = config_of(open_studio.ask("GET", "/rate"))
    assert config["run_history"] is False
    assert config["show_error"] is False
    assert config["footer_links"] == []
    assert config["analytics_enabled"] is False
    files = {"files": ("a.txt", b"text")}
    for path in ("/gradio_api/upload", "/gradio_api/upload/", "/gradio_api/upload?upload_id=a"):
        assert open_studio.client.post(path, files=files).status_code == 404
    assert open_studio.ask("GET", "/gradio_api/runs").status_code == 404


def test_gradio_serves_no_file_of_this_machine(open_studio):
    key = open_studio.studio.settings.data.absolute() / "studio.sqlite3"
    for path in (key, "/etc/hostname", "/etc/passwd", Path(__file__).absolute()):
        answer = open_studio.ask("GET", f"/gradio_api/file={path}")
        assert answer.status_code in {403, 404}


def test_the_api_answers_in_its_own_shape_beside_the_pages(open_studio):
    for method, path, status, code in (
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("DELETE", "/api/v1/projects", 405, "method_not_allowed"),
        ("POST", "/api/v1/rewards", 405, "method_not_allowed"),
    ):
        answer = open_studio.ask(method, path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("page", PAGES)
def test_pages_work_below_a_sub_path(open_studio, page):
    prefix = {"x-forwarded-prefix": "/studio"}
    for path in (page, "/studio" + page):  # a proxy may strip the prefix or leave it
        answer = open_studio.ask("GET", path, **prefix)
        assert answer.status_code == 200
    if page != "/rate/plain":
        assert config_of(answer)["root"].endswith("/studio")


def test_a_slash_too_many_leads_to_the_page(open_studio):
    answer = open_studio.ask("GET", "/rate/?project=a", **{"x-forwarded-prefix": "/studio"})
    assert answer.status_code == 307
    assert answer.headers["location"] == "/studio/rate?project=a"


def test_identical_ratings_over_sockets_make_one_row(open_studio):
    studio = open_studio.studio
    add_group(studio)
    client, project = open_studio.client, f"/api/v1/projects/{studio.project}"
    group = client.get(f"{project}/groups/next", params={"rater": "ada"}).json()
    body = studio.rating(group)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.post("/api/v1/ratings", json=body), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(client.get(f"{project}/ratings.jsonl").text.splitlines()) == 1


def test_many_raters_at_once_never_share_a_group(open_studio):
    studio = open_studio.studio
    made = {add_group(studio).id for _ in range(8)}
    path = f"/api/v1/projects/{studio.project}/groups/next"

    def shown(number: int) -> str:
        answer = open_studio.client.get(path, params={"rater": f"rater {number}"})
        return str(answer.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        served = list(pool.map(shown, range(8)))
    assert set(served) == made


def test_paths_are_taken_as_they_are_sent(open_studio):
    address = open_studio.origin.removeprefix("http://")
    host, port = address.split(":")
    for path in ("/static/../pyproject.toml", "/api/v1/images/../../app.py", "//etc/passwd"):
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()
            )
            answer = b"".join(iter(lambda raw=raw: raw.recv(65536), b""))
        assert answer.split()[1] in {b"404", b"307"}, path
        assert b"[project]" not in answer


def test_a_request_without_a_host_is_refused(open_studio):
    host, port = open_studio.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"GET /api/v1/projects HTTP/1.0\r\n\r\n")
        assert raw.recv(65536).split()[1] == b"403"


def test_health_answers_while_other_requests_wait(open_studio, monkeypatch):
    arrived, release = threading.Event(), threading.Event()

    def held(*_):
        arrived.set()
        assert release.wait(30)

    monkeypatch.setattr(groups, "next_for", held)
    path = f"/api/v1/projects/{open_studio.studio.project}/groups/next?rater=slow"
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(open_studio.ask, "GET", path) for _ in range(4)]
        try:
            assert arrived.wait(30)
            assert open_studio.ask("GET", "/healthz").status_code == 200
            assert not any(answer.done() for answer in waiting)
        finally:
            release.set()
        assert [answer.result().status_code for answer in waiting] == [204] * 4
