"""A full ranking with ties: by keys, by presses, and by drag with a mouse and a finger."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.studio import Rater, Studio

PLAIN = {"width": 360, "height": 740}


@pytest.fixture
def project(studio: Studio):
    made = studio.project(default_mode="rank")
    studio.make_groups(made, 6)
    return made


@pytest.fixture
def rater(page, studio, project) -> Rater:
    person = Rater(page, studio.url, project.id, path="rate/plain")
    person.arrive()
    return person


def ranks(studio: Studio, page, project, pictures: list[str]) -> list[float]:
    (row,) = studio.wait_for_rows(page, project, 1)
    assert (row["mode"], row["usable"]) == ("rank", len(set(row["judgement"].values())) > 1)
    return [row["judgement"][picture] for picture in pictures]


def picture(page, number: int) -> Any:
    return page.locator("loop-rater .picture").nth(number - 1)


def place(page, number: int) -> Any:
    return page.locator(f"loop-rater .places [data-place='{number}']")


def middle(node) -> tuple[float, float]:
    box = node.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, number: int, to: int) -> None:
    """With the mouse, as slowly as a hand does."""
    page.mouse.move(*middle(picture(page, number)))
    page.mouse.down()
    page.wait_for_timeout(600)  # longer than a long press
    page.mouse.move(*middle(place(page, to)), steps=4)
    assert "is-lit" in place(page, to).get_attribute("class")
    page.mouse.up()


def swipe(page, number: int, to: int) -> None:
    """The same with a finger, through the browser's own touch events, no faster than a hand."""
    devices = page.context.new_cdp_session(page)
    start, end = middle(picture(page, number)), middle(place(page, to))

    def touch(kind: str, *points: tuple[float, ...]) -> None:
        told = [{"x": x, "y": y} for x, y in points]
        devices.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})
        page.wait_for_timeout(30)

    touch("touchStart", start)
    for part in (0.25, 0.5, 0.75, 1.0):
        touch("touchMove", tuple(a + part * (b - a) for a, b in zip(start, end, strict=True)))
    touch("touchEnd")
    page.wait_for_timeout(350)  # sooner, the browser takes the next touch for part of this one


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["3", "1", "2"], [2, 3, 1, 4]),  # the last place fills itself
        (["2", "Shift+Digit4", "1"], [2, 1, 3, 1]),
        (["1", "2", "Shift+Digit3", "Shift+Digit4"], [1, 2, 2, 2]),
        (["4", "3", "u", "2", "Enter"], [3, 2, 3, 1]),  # a mark taken back, the rest tied
        (["="], [1, 1, 1, 1]),
    ],
)
def test_keys_rank_with_ties(rater, studio, project, page, keys, expected) -> None:
    pictures = rater.shown()
    for key in keys[:-1]:
        page.keyboard.press(key)
    rater.press(keys[-1])
    assert ranks(studio, page, project, pictures) == expected


def test_a_mouse_drags_pictures_to_their_places_and_moves_them(
    rater, studio, project, page
) -> None:
    pictures, group = rater.shown(), rater.wait_for_group()
    for number, to in [(1, 2), (2, 1), (3, 2), (1, 4), (4, 2)]:
        drag(page, number, to)
    assert rater.wait_for_group() == group  # all have a place, and one may still move them
    assert page.get_by_role("checkbox", name="Picture 1, place 4").is_checked()
    assert place(page, 2).locator("img").count() == 2
    page.get_by_role("button", name="Send").click()
    rater.wait_for_group(other_than=group)
    assert ranks(studio, page, project, pictures) == [3, 1, 2, 2]


def test_a_drag_that_ends_elsewhere_or_is_given_up_places_nothing(
    rater, studio, project, page
) -> None:
    group = rater.wait_for_group()
    page.mouse.move(*middle(picture(page, 1)))
    page.mouse.down()
    page.mouse.move(5, 300, steps=3)
    page.mouse.up()
    page.mouse.move(*middle(picture(page, 2)))
    page.mouse.down()
    page.mouse.move(*middle(place(page, 1)), steps=3)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert page.locator("loop-rater .carried").count() == 0
    assert page.locator("loop-rater .places img").count() == 0
    assert (rater.wait_for_group(), studio.rows(project)) == (group, [])
    picture(page, 2).click()  # the next press is a press again
    assert page.get_by_role("checkbox", name="Picture 2, place 1").is_checked()


def test_presses_rank_and_what_they_did_is_said(rater, studio, project, page) -> None:
    pictures, group = rater.shown(), rater.wait_for_group()
    said = page.locator("loop-rater .unseen")
    picture(page, 2).click()
    assert said.inner_text() == "Picture 2: place 1."
    picture(page, 1).click()
    picture(page, 1).click()
    assert said.inner_text() == "Picture 1: no place yet."
    page.get_by_role("button", name="Tie picture 3 with the one before").click()
    assert said.inner_text() == "Picture 3: place 1."
    picture(page, 4).click()
    rater.wait_for_group(other_than=group)
    assert said.inner_text().startswith("Ranked: 2 and 3, then 4, then 1. Next: ")
    assert ranks(studio, page, project, pictures) == [3, 1, 1, 2]


@pytest.fixture
def phone(browser):
    context = browser.new_context(viewport=PLAIN, has_touch=True, is_mobile=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("path", ["rate", "rate/plain"])
def test_a_finger_drags_on_a_phone(studio, project, phone, path) -> None:
    rater = Rater(phone, studio.url, project.id, path=path)
    rater.arrive()
    pictures, group = rater.shown(), rater.wait_for_group()
    for number, to in [(4, 1), (2, 3), (1, 3)]:
        swipe(phone, number, to)
    phone.get_by_role("checkbox", name="Picture 1, place 3").wait_for()
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= PLAIN["width"]
    slots = phone.locator("loop-rater .places li").evaluate_all(
        "nodes => nodes.map(n => n.getBoundingClientRect()).map(box => [box.height, box.right])"
    )
    assert all(height >= 44 and right <= PLAIN["width"] for height, right in slots), slots
    phone.get_by_role("button", name="Send").click()  # a slow tap is a long press
    rater.wait_for_group(other_than=group)
    assert ranks(studio, phone, project, pictures) == [2, 2, 3, 1]
