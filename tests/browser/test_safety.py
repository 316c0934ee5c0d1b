"""Text of people is text; no page needs another host; axe finds nothing serious."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from loop_studio.storage import projects
from tests.browser.studio import Rater, Studio

PAGES = ("rate", "history", "train", "versions", "settings")
HOSTILE = "${document.title='x'}<img src=x onerror=\"document.title='x'\">{{document.title='x'}}"
SERIOUS = {"serious", "critical"}


@pytest.fixture
def hostile(studio: Studio):
    project = studio.project(texts=[HOSTILE], min_groups=1)
    studio.make_groups(project, 4)
    projects.change(studio.db, project.id, name=HOSTILE)
    return project


def open_page(page, studio: Studio, name: str, project) -> None:
    page.goto(f"{studio.url}/{name}?project={project.id}")
    page.locator("loop-nav").get_by_role("combobox").wait_for()
    page.wait_for_function("document.title.includes('·')")
    page.wait_for_load_state("networkidle")


def test_hostile_prompts_names_and_raters_are_inert_on_every_page(studio, hostile, page) -> None:
    rater = Rater(page, studio.url, hostile.id, name=HOSTILE[:80])
    rater.arrive()
    assert page.get_by_role("heading", level=1).inner_text() == HOSTILE
    rater.press("1")
    assert page.get_by_role("button", name=HOSTILE[:80]).count() == 1
    for name in PAGES:
        open_page(page, studio, name, hostile)
        assert HOSTILE in page.title()
        strays = "document.querySelectorAll('img[src=x]').length"
        assert page.evaluate(strays) == 0
        in_shadow = """[...document.querySelectorAll('*')].filter(node =>
            node.shadowRoot?.querySelector("img[src='x']")).length"""
        assert page.evaluate(in_shadow) == 0


def test_every_page_works_with_all_other_hosts_blocked(studio: Studio, page) -> None:
    project = studio.project()
    studio.make_groups(project, 2)
    failed: list[str] = []
    elsewhere: list[str] = []
    own = (studio.url, "data:", "blob:")
    page.on("request", lambda asked: asked.url.startswith(own) or elsewhere.append(asked.url))
    page.on("response", lambda got: got.status >= 400 and failed.append(got.url))
    page.on("console", lambda said: said.type == "error" and failed.append(said.text))
    Rater(page, studio.url, project.id).arrive()
    expected = {
        "rate": "a red fish",
        "train": "Updates",
        "versions": "Version 0",
        "settings": "Generation",
    }
    for name, text in expected.items():
        open_page(page, studio, name, project)
        page.get_by_role("heading", name=text).first.wait_for()
    wanted = [url for url in failed if "/probe" not in url and "404" not in url]
    assert wanted == []
    assert elsewhere == []


def test_links_and_the_project_menu_keep_the_project(studio: Studio, page) -> None:
    first, second = studio.project(), studio.project()
    open_page(page, studio, "train", second)
    page.get_by_role("link", name="Versions").click()
    page.wait_for_url(f"**/versions?project={second.id}")
    page.locator("loop-nav").get_by_role("combobox").select_option(first.id)
    page.wait_for_url(f"**/versions?project={first.id}")
    page.wait_for_function("document.title.includes('·')")
    page.goto(f"{studio.url}/")
    page.wait_for_url(f"**/rate?project={first.id}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(studio: Studio, page, scheme) -> None:
    page.emulate_media(color_scheme=scheme)
    project = studio.project()
    studio.make_groups(project, 6)
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    rater.press("1")
    rater.wait_until_sent()
    page.keyboard.press("Shift+Digit2")
    found = []
    for name in ("rate", *PAGES[1:]):
        if name != "rate":
            open_page(page, studio, name, project)
        results = Axe().run(page).response["violations"]
        found += [
            (name, hit["id"], [node["html"] for node in hit["nodes"]])
            for hit in results
            if hit["impact"] in SERIOUS
        ]
    assert found == []
