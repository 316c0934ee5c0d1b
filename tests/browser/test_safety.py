"""Text of people is text; no page needs another host or breaks its policy; axe is content."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from loop_studio.storage import projects
from loop_studio.ui.connections import configuration
from tests.browser.accessibility import serious
from tests.browser.studio import Rater, Studio

PAGES = (
    "rate",
    "history",
    "train",
    "versions",
    "compare",
    "playground",
    "rewards",
    "settings",
    "projects",
    "data",
    "status",
    "people",
    "account",
)
HOSTILE = "${document.title='x'}<img src=x onerror=\"document.title='x'\">{{document.title='x'}}"

INJECTED = """new Promise(resolve => {
    window.onInjected = () => resolve(true);
    document.body.insertAdjacentHTML("beforeend", "<img src='data:,' onerror='onInjected()'>");
    setTimeout(() => resolve(false), 300);
})"""


@dataclass
class Below:
    """A proxy in front of the studio, as nginx is: it serves the studio below /studio alone."""

    app: Any

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/studio/"):
            said = [(b"x-forwarded-prefix", b"/studio")]
            await self.app({**scope, "headers": [*scope["headers"], *said]}, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"nothing of the studio is here"})


@pytest.fixture(scope="module")
def below(studio: Studio) -> Iterator[str]:
    """Where the same studio is below a sub-path."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = configuration(Below(studio.line))
    config.lifespan, config.timeout_graceful_shutdown = "off", 1
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/studio"
    server.should_exit = True
    thread.join(timeout=10)


def watch(page, home: str) -> Callable[[], list[str]]:
    """Begin to note what goes wrong on `page`; the answer tells what has until then."""
    noted: list[str] = []
    own = (home, "data:", "blob:")
    page.add_init_script(
        "addEventListener('securitypolicyviolation', event =>"
        " console.error('policy', event.effectiveDirective, event.blockedURI, event.sample))"
    )
    page.on("request", lambda asked: asked.url.startswith(own) or noted.append(asked.url))
    page.on("response", lambda got: got.status >= 400 and noted.append(got.url))
    page.on("console", lambda said: said.type == "error" and noted.append(said.text))
    # A project without a wall of probes is asked for it and says 404; so do pictures of other
    # tests' projects that were damaged on purpose.
    expected = ("/probe", "/api/v1/images/", "404")
    return lambda: [line for line in noted if not any(part in line for part in expected)]


@pytest.fixture(scope="module")
def hostile(studio: Studio):
    project = studio.project(texts=[HOSTILE], min_groups=1)
    studio.make_groups(project, 6)
    return projects.change(studio.db, project.id, name=HOSTILE)


def open_page(page, home: str, name: str, project) -> None:
    page.goto(f"{home}/{name}?project={project.id}")
    page.locator("loop-nav").get_by_role("link", name="all projects").wait_for()
    page.wait_for_function("document.title.includes('·')")
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_below_a_sub_path_shows_text_as_text_needs_no_other_host_and_satisfies_axe(
    below: str, hostile, page, name
) -> None:
    wrong = watch(page, f"{below}/")
    open_page(page, below, name, hostile)
    if name == "rate":
        judge_as_a_hostile_person(page)
    assert HOSTILE in page.title()
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    in_shadow = """[...document.querySelectorAll('*')].filter(node =>
        node.shadowRoot?.querySelector("img[src='x']")).length"""
    assert page.evaluate(in_shadow) == 0
    assert wrong() == []
    assert serious(page) == []
    assert page.evaluate(INJECTED) is False
    assert any("policy script-src-attr" in line for line in wrong())


def test_the_plain_page_and_the_documentation_keep_the_strict_policy(
    studio: Studio, below: str, page
) -> None:
    project = studio.project()
    studio.make_groups(project, 1)
    wrong = watch(page, f"{below}/")
    Rater(page, below, project.id, path="rate/plain").arrive()
    page.goto(f"{below}/api/docs")
    page.get_by_text("/api/v1/session", exact=True).first.click()
    page.get_by_text("Who you are here").first.wait_for()
    page.goto(f"{below}/")
    page.wait_for_url(f"{below}/rate?project=*")
    assert wrong() == []


def judge_as_a_hostile_person(page) -> None:
    name = page.get_by_label("Your name")
    name.fill(HOSTILE[:80])
    name.press("Enter")
    painted = page.locator("loop-rater[data-state='painted']")
    painted.wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == HOSTILE
    assert page.get_by_role("button", name=HOSTILE[:80]).count() == 1
    page.keyboard.press("1")
    page.wait_for_selector("loop-rater[data-waiting='0']", state="attached")
    painted.wait_for()
    page.keyboard.press("Shift+Digit2")


def test_links_keep_the_project_and_another_one_is_opened_where_one_was(
    studio: Studio, page
) -> None:
    first, second = studio.project(), studio.project()
    open_page(page, studio.url, "train", second)
    page.get_by_role("link", name="Versions").click()
    page.wait_for_url(f"**/versions?project={second.id}")
    page.locator("loop-nav").get_by_role("link", name="all projects").click()
    page.locator(f"[data-project='{first.id}']").get_by_role("link", name="Open").click()
    page.wait_for_url(f"**/versions?project={first.id}")
    page.wait_for_function("document.title.includes('·')")
    page.goto(f"{studio.url}/")
    page.wait_for_url(f"**/rate?project={first.id}")


def test_axe_finds_nothing_serious_in_any_way_of_judging_and_what_opens_over_it(
    studio: Studio, page
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    project = studio.project()
    studio.make_groups(project, 3)
    rater = Rater(page, studio.url, project.id, path="rate/plain")
    rater.arrive()
    found = serious(page)
    for mode, key in [("stars", "3"), ("good", "2"), ("rank", "2")]:
        page.get_by_label("Way of judging").select_option(mode)
        page.keyboard.press(key)
        found += serious(page)
    for key in "?zcn":
        page.keyboard.press(key)
        found += serious(page)
        page.keyboard.press("Escape")
    rater.press("Enter")
    page.locator("loop-rater .sitting-words").click()
    found += serious(page)
    assert found == []
