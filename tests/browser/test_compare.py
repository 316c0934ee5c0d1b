"""Compare: two versions by slider, side by side and flicker; all of them in a grid and in time."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from loop_studio.storage import groups, samples, versions
from tests.browser.studio import Studio
from tests.browser.tree import grow, render


@pytest.fixture
def project(studio: Studio):
    made = studio.project(["a red fish", "a blue star"], min_groups=1)
    for _ in range(2):
        grow(studio, made)
    return made


def open_page(page, studio: Studio, project, query: str = "") -> None:
    page.goto(f"{studio.url}/compare?project={project.id}{query}")
    page.wait_for_selector("loop-compare[data-state='ready']")


def shown(page) -> list[str]:
    """Ids of the two pictures on the stage."""
    return page.locator("loop-compare .frame img:not([hidden])").evaluate_all(
        "images => images.map(image => new URL(image.src).pathname.split('/').at(-1))"
    )


def of(studio: Studio, project, number: int, place: int) -> str:
    """The id of a picture of a version's wall."""
    wall = samples.probe(studio.db, versions.by_number(studio.db, project.id, number).id)
    assert wall is not None
    return wall[1][place].id


def wait_for(page, first: str, second: str) -> None:
    page.wait_for_function(
        """wanted => [...document.querySelector("loop-compare").shadowRoot
            .querySelectorAll(".frame img:not([hidden])")]
            .map(image => image.src.split("/").at(-1)).join() === wanted""",
        arg=f"{first},{second}",
    )


def test_two_versions_stand_beside_each_other_by_every_way_and_key(page, studio, project) -> None:
    render(studio, project)
    open_page(page, studio, project)
    wait_for(page, of(studio, project, 1, 0), of(studio, project, 2, 0))
    stage = page.locator("loop-compare .stage")
    assert stage.get_attribute("data-view") == "slider"
    page.keyboard.press("ArrowRight")
    assert page.get_by_label("Where the first picture ends").input_value() == "55"
    page.keyboard.press("2")
    assert stage.get_attribute("data-view") == "beside"
    boxes = [one.bounding_box() for one in stage.locator("img").all()]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    page.keyboard.press("3")
    assert stage.get_attribute("data-view") == "flicker"
    top = "frame => frame.dataset.top"
    before = stage.locator(".frame").evaluate(top)
    page.wait_for_function(
        """before => document.querySelector("loop-compare").shadowRoot
            .querySelector(".frame").dataset.top !== before""",
        arg=before,
    )
    page.keyboard.press("ArrowDown")
    wait_for(page, of(studio, project, 1, 1), of(studio, project, 2, 1))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("x")
    wait_for(page, of(studio, project, 2, 0), of(studio, project, 1, 0))
    assert "first=2&second=1" in page.url
    page.get_by_label("First", exact=True).select_option(label="Version 0 (base)")
    wait_for(page, of(studio, project, 0, 0), of(studio, project, 1, 0))


def test_the_grid_the_scrubber_and_every_reward(page, studio, project) -> None:
    render(studio, project)
    open_page(page, studio, project, "&first=0&second=2")
    grid = page.locator("loop-compare table.grid")
    tile = grid.get_by_role("button", name="Version 1: a blue star, seed 2")
    tile.click()
    wait_for(page, of(studio, project, 0, 3), of(studio, project, 1, 3))
    assert grid.get_by_role("button").count() == 3 * 4
    scrubber = page.get_by_label("Version", exact=True)
    moment = page.locator("loop-compare .moment img")
    seen = []
    scrubber.focus()
    page.keyboard.press("Home")
    for _ in range(3):
        seen.append(moment.get_attribute("src").split("/")[-1])
        page.keyboard.press("ArrowRight")
    assert seen == [of(studio, project, number, 3) for number in range(3)]
    rewards = page.locator("loop-compare .rewards")
    rewards.get_by_text("clip score").wait_for()
    assert "+0.010 (+0.010 to +0.010)" in rewards.inner_text()


def test_missing_pictures_are_asked_for_and_shown_as_they_come(page, studio, project) -> None:
    open_page(page, studio, project, "&first=1&second=2")
    page.get_by_text("0 of 12 pictures made").wait_for()
    render(studio, project, most=2)
    page.locator("loop-compare .frame img:not([hidden])").first.wait_for()
    render(studio, project)
    wait_for(page, of(studio, project, 1, 0), of(studio, project, 2, 0))
    page.get_by_text("A prompt of your own").click()
    page.locator("loop-compare #own").fill("a green tree")
    page.get_by_role("button", name="Draw it with both").click()
    page.get_by_text("0 of 2 pictures made").wait_for()
    render(studio, project)
    page.wait_for_function(
        """() => [...document.querySelector("loop-compare").shadowRoot
            .querySelectorAll(".frame img:not([hidden])")]
            .filter(image => image.alt.includes("a green tree, seed 1")).length === 2"""
    )
    assert len({groups.image(studio.db, one).sha256 for one in shown(page)}) == 2


def test_versions_lead_to_compare(page, studio, project) -> None:
    render(studio, project)
    page.goto(f"{studio.url}/versions?project={project.id}")
    page.get_by_role("link", name="Compare version 1").click()
    page.wait_for_selector("loop-compare[data-state='ready']")
    assert "first=0" in page.url
    assert "second=1" in page.url
    page.wait_for_function("document.title.startsWith('Compare')")


def test_compare_fits_a_telephone(page, studio, project) -> None:
    render(studio, project)
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, studio, project)
    wait_for(page, of(studio, project, 1, 0), of(studio, project, 2, 0))
    expect(page.get_by_label("Where the first picture ends")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
