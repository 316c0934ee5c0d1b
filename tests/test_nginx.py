"""Behind a real nginx with the very file that docs/nginx.md shows: TLS and a sub-path."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

from loop_studio.settings import Settings
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from tests.browser.conftest import FLAGS
from tests.browser.studio import Rater, Studio
from tests.browser.test_safety import PAGES, watch

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
NAME = "studio.example"
PASSWORD = "correct horse"
FRAME = """
daemon off;
pid {home}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    root /nonexistent;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {home}/studio.conf;
}}
"""

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx"),
]


@dataclass
class Site:
    """The studio, and where it is from outside."""

    studio: Studio
    url: str
    plain_url: str
    client: httpx.Client


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def shown_file(changes: dict[str, str]) -> str:
    """The file of the guide, with the ports and paths of this test and no other change."""
    guide = (Path(__file__).parent.parent / "docs" / "nginx.md").read_text(encoding="utf-8")
    (file,) = re.findall(r"```nginx\n(.*?)```", guide, re.DOTALL)
    for old, new in changes.items():
        assert old in file, old
        file = file.replace(old, new)
    return str(file)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_data: Path) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("nginx")
    shutil.copytree(migrated_data, home / "data")
    settings = Settings(
        data=home / "data", port=0, device="cpu", password=PASSWORD, allowed_hosts=(NAME,)
    )
    db = Database(settings.resolved_database_url)
    studio = Studio(settings, db, FileStore(settings.files))
    key, certificate = home / "key.pem", home / "certificate.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN={NAME} "
        f"-addext subjectAltName=DNS:{NAME} -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    http, https = free_port(), free_port()
    changes = {
        "listen 80;": f"listen {http};",
        "listen 443 ssl": f"listen {https} ssl",
        "/etc/ssl/certs/studio.example.pem": str(certificate),
        "/etc/ssl/private/studio.example.key": str(key),
        "http://127.0.0.1:7860": studio.url,
    }
    (home / "studio.conf").write_text(shown_file(changes))
    (home / "nginx.conf").write_text(FRAME.format(home=home))
    assert NGINX is not None
    with (home / "log").open("w") as log:
        nginx = subprocess.Popen([NGINX, "-p", home, "-c", home / "nginx.conf"], stderr=log)
    wait_for(https, nginx, home / "log")
    # The name is looked up nowhere: connections go to this machine, the rest is as from outside.
    with httpx.Client(
        base_url=f"https://127.0.0.1:{https}/studio",
        headers={"host": f"{NAME}:{https}"},
        verify=False,
        timeout=30,
    ) as client:
        plain = f"http://127.0.0.1:{http}"
        yield Site(studio, f"https://{NAME}:{https}/studio", plain, client)
    nginx.terminate()
    nginx.wait(timeout=10)
    studio.stop()
    db.dispose()


def wait_for(port: int, nginx: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        assert nginx.poll() is None, log.read_text()
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator[Page]:
    flags = [flag for flag in FLAGS if "host-resolver" not in flag]
    only_here = f"--host-resolver-rules=MAP {NAME} 127.0.0.1, MAP * ~NOTFOUND"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*flags, only_here])
        context = browser.new_context(ignore_https_errors=True)
        yield context.new_page()
        browser.close()


def test_plain_http_leads_to_tls(site: Site) -> None:
    answer = httpx.get(f"{site.plain_url}/studio/rate?project=a", headers={"host": NAME})
    assert answer.status_code == 301
    assert answer.headers["location"] == f"https://{NAME}/studio/rate?project=a"


def test_a_person_signs_in_and_every_page_works(site: Site, page: Page) -> None:
    project = site.studio.project(texts=["a red fish"])
    site.studio.make_groups(project, 2)
    page.goto(f"{site.url}/rate?project={project.id}")
    page.wait_for_url(f"{site.url}/login?next=*")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/rate?project={project.id}")
    (cookie,) = page.context.cookies()
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
    assert cookie["path"] == "/studio"

    wrong = watch(page, f"{site.url}/")
    rater = Rater(page, site.url, project.id)
    rater.arrive()
    rater.press("1")
    assert len(site.studio.wait_for_rows(page, project, 1)) == 1
    for name in PAGES:
        page.goto(f"{site.url}/{name}?project={project.id}")
        page.locator("loop-nav").get_by_role("link", name="all projects").wait_for()
        page.wait_for_load_state("networkidle")
    page.goto(f"{site.url}/rate/plain?project={project.id}")
    rater.wait_for_group()
    page.goto(f"{site.url}/")
    page.wait_for_url(f"{site.url}/rate?project=*")
    assert wrong() == []


def signed_in(site: Site) -> dict[str, str]:
    return {"authorization": f"Bearer {PASSWORD}"}


def test_answers_ask_for_tls_from_now_on(site: Site) -> None:
    answer = site.client.get("/healthz")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert "nginx/" not in answer.headers.get("server", "")


def test_large_bodies_are_refused_before_the_studio_and_files_reach_it(site: Site) -> None:
    two = b" " * 2**21
    refused = site.client.post("/api/v1/projects", content=two, headers=signed_in(site))
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    kind = {"content-type": "application/octet-stream", **signed_in(site)}
    path = f"/api/v1/projects/{site.studio.project().id}/imports?name=x"
    sent = site.client.post(path, content=two, headers=kind)
    assert sent.status_code == 202, sent.text


def test_gradios_uploads_and_event_streams_are_shut(site: Site) -> None:
    files = {"files": ("a.txt", b"text")}
    headers = signed_in(site)
    assert site.client.post("/gradio_api/upload", files=files, headers=headers).status_code == 404
    for path in ("heartbeat/a", "queue/data?session_hash=a"):
        assert site.client.get(f"/gradio_api/{path}", headers=headers).status_code == 404


def test_no_client_can_say_that_it_is_another(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    claims = {
        "x-forwarded-for": "198.51.100.7",
        "x-real-ip": "198.51.100.7",
        "x-forwarded-host": "evil.example",
        "x-forwarded-prefix": "/evil",
        "x-forwarded-proto": "http",
    }
    answer = site.client.get("/rate?project=a", headers={"accept": "text/html", **claims})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/studio/login")
    assert "strict-transport-security" in answer.headers
    site.client.get("/api/v1/projects", headers={"authorization": "Bearer wrong", **claims})
    assert "sign_in_required: GET /api/v1/projects from 127.0.0.1:" in caplog.text


def test_foreign_names_and_pages_are_refused(site: Site) -> None:
    port = site.url.split(":")[2].split("/")[0]
    for headers in (
        {"host": f"evil.example:{port}"},
        {"origin": "https://evil.example"},
        {"origin": f"http://{NAME}:1"},
    ):
        assert site.client.post("/login", headers=headers).status_code == 403


def test_an_export_is_sent_as_it_is_written(site: Site) -> None:
    project = site.studio.project().id
    path = f"/api/v1/projects/{project}/ratings.jsonl"
    with site.client.stream("GET", path, headers=signed_in(site)) as answer:
        assert answer.status_code == 200
        assert "content-length" not in answer.headers


def test_without_the_studio_nginx_answers_with_a_sentence(site: Site) -> None:
    site.studio.stop()
    try:
        answer = site.client.get("/api/v1/projects", headers=signed_in(site))
    finally:
        site.studio.start()
    assert (answer.status_code, answer.json()["code"]) == (503, "unready")
    assert answer.headers["retry-after"] == "5"
