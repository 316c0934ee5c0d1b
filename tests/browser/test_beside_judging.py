"""A closer look, guidelines, flags and notes, sittings, history, and the page without Gradio."""

from __future__ import annotations

import re

import pytest

from loop_studio.storage import history, projects
from loop_studio.storage.history import Filter
from tests.browser.studio import Rater, Studio

GUIDELINES = "Prefer clear shapes.\n\n${document.title='x'}<img src=x onerror=alert(1)>"


@pytest.fixture
def project(studio: Studio):
    made = studio.project(["a red fish", "a blue star"], min_groups=3)
    studio.make_groups(made, 12)
    projects.change(studio.db, made.id, guidelines=GUIDELINES)
    return made


@pytest.fixture
def rater(page, studio, project) -> Rater:
    person = Rater(page, studio.url, project.id, path="rate/plain")
    person.arrive()
    return person


def judged(studio, project, **wanted):
    return history.judged(studio.db, project.id, "Ada", Filter(**wanted), limit=100)


def test_a_closer_look_shows_one_picture_or_two_and_judges_nothing(
    rater, studio, project, page
) -> None:
    pictures = rater.shown()
    closer = page.locator("dialog.closer")
    seen = closer.locator("img").evaluate_all
    ids = "images => images.map(image => new URL(image.src).pathname.split('/').at(-1))"
    page.keyboard.press("z")
    assert seen(ids) == [pictures[0]]
    page.keyboard.press("ArrowRight")
    assert seen(ids) == [pictures[1]]
    page.keyboard.press("4")
    assert seen(ids) == [pictures[3]]
    page.keyboard.press("c")
    assert seen(ids) == [pictures[3], pictures[0]]
    page.keyboard.press("3")
    assert seen(ids) == [pictures[3], pictures[2]]
    large = closer.locator("img").first.bounding_box()
    assert large["width"] > 300
    page.keyboard.press("Escape")
    closer.wait_for(state="detached")
    assert rater.shown() == pictures
    assert studio.rows(project) == []


def test_guidelines_stand_beside_the_pictures_until_they_are_closed(rater, page) -> None:
    beside = page.locator("loop-rater aside")
    assert "Prefer clear shapes." in beside.inner_text()
    assert "<img src=x" in beside.inner_text()  # text, never markup
    assert "${document" in beside.inner_text()
    assert page.title() != "x"
    stage = page.locator("loop-rater .grid").bounding_box()
    box = beside.bounding_box()
    assert stage["x"] + stage["width"] <= box["x"]
    page.keyboard.press("g")
    assert not beside.is_visible()
    page.reload()
    rater.wait_for_group()
    assert not beside.is_visible()
    page.get_by_role("button", name="Guidelines (G)", exact=True).click()
    assert beside.is_visible()


def test_a_flag_and_a_note_are_kept_through_a_dropped_line(
    rater, studio, project, page, context
) -> None:
    context.set_offline(True)
    group = rater.wait_for_group()
    page.keyboard.press("f")
    page.keyboard.press("n")
    page.get_by_role("textbox", name="Note").fill("two fishes, not one")
    page.get_by_role("button", name="Save").click()
    page.keyboard.press("1")
    context.set_offline(False)
    rater.wait_until_sent()
    (past,) = judged(studio, project)
    assert (past.id, past.flagged, past.note) == (group, True, "two fishes, not one")


def test_a_sitting_has_a_goal_a_pace_and_an_end_card_and_outlives_a_reload(rater, page) -> None:
    page.get_by_role("button", name="This sitting: Set a goal").click()
    page.get_by_role("button", name="10", exact=True).click()
    for _ in range(4):
        rater.press("1")
    page.reload()
    rater.wait_for_group()
    words = page.locator("loop-rater .sitting-words")
    assert re.fullmatch(r"4 of 10, \d+\.\d s each", words.inner_text())
    for key in ("2", "0", "3", "u", "4", "1"):
        rater.press(key)
    rater.wait_until_sent()
    assert words.inner_text().startswith("8 of 10")  # one was taken back
    rater.press("1")
    page.keyboard.press("1")
    card = page.get_by_role("dialog", name="This sitting")
    card.get_by_text("Goal reached").wait_for()
    assert "10 groups judged in" in card.inner_text()


def test_history_finds_flags_and_judges_anew(studio, project, page) -> None:
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    first = rater.wait_for_group()
    for key in ("1", "0", "="):
        rater.press(key)
    rater.wait_until_sent()
    page.get_by_role("link", name="History").click()
    cards = page.locator("loop-history .past > li")
    cards.nth(2).wait_for()
    assert cards.count() == 3
    page.get_by_label("Verdict").select_option("none")
    page.get_by_text("1 group", exact=True).wait_for()
    page.get_by_label("Verdict").select_option("preferred")
    card = page.locator(f"loop-history [data-group='{first}']")
    card.get_by_role("button", name="Flag").click()
    card.get_by_role("button", name="Flagged").wait_for()
    card.get_by_role("button", name="Keep picture 2").click()
    card.get_by_role("button", name="Picture 2 is kept").wait_for()
    with page.expect_download() as started:
        card.get_by_role("link", name="Download picture 1").click()
    assert started.value.suggested_filename.endswith(".png")
    card.get_by_role("button", name="Judge again").click()
    assert rater.wait_for_group() == first
    rater.press("4")
    rater.wait_until_sent()
    rows = [row for row in studio.rows(project) if row["group_id"] == first]
    assert [row["status"] for row in rows] == ["superseded", "active"]
    (past,) = judged(studio, project, flagged=True)
    assert past.images[1].favourite


def test_rating_works_without_gradio_under_a_strict_policy(page, studio, project) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    answer = page.goto(f"{studio.url}/rate/plain?project={project.id}")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    name = page.get_by_label("Your name")
    name.fill("Guest")
    name.press("Enter")
    person = Rater(page, studio.url, project.id, "Guest")
    person.wait_for_group()
    assert page.evaluate("() => window.gradio_config === undefined")
    for _ in range(3):
        before = person.wait_for_group()
        page.locator("loop-rater .picture").first.click()
        person.wait_for_group(other_than=before)
    person.wait_until_sent()
    assert len(studio.rows(project)) == 3
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    small = page.locator("loop-rater button:visible").evaluate_all(
        "nodes => nodes.map(n => n.getBoundingClientRect()).filter(b => b.height < 43.5).length"
    )
    assert small == 0


def pushes(page) -> list[str]:
    shown = page.locator("loop-rater .would").all_inner_texts()
    return [text.replace("\N{MINUS SIGN}", "-") for text in shown]


def test_each_picture_shows_its_push_before_one_decides(rater, studio, project, page) -> None:
    pictures = page.locator("loop-rater .picture")
    assert pushes(page) == [""] * 4
    pictures.nth(1).hover()
    page.get_by_text("+0.75").wait_for()
    assert pushes(page) == ["-0.25", "+0.75", "-0.25", "-0.25"]
    page.keyboard.press("Shift+Digit1")  # also good
    page.get_by_text("+0.63").wait_for()
    assert pushes(page) == ["+0.13", "+0.63", "-0.38", "-0.38"]
    assert studio.rows(project) == []
    rater.press("2")
    assert pushes(page) == [""] * 4
    (row,) = studio.wait_for_rows(page, project, 1)
    assert sorted(row["judgement"].values()) == [0, 0, 0.5, 1]


def test_a_gesture_that_teaches_nothing_says_so_before_it_is_sent(rater, page) -> None:
    page.get_by_label("Way of judging").select_option("good")
    page.keyboard.press("1")
    page.get_by_text("+1.00").wait_for()
    for key in ("2", "3", "4"):
        page.keyboard.press(key)
    page.get_by_text("No learning signal: all images are judged equal.").wait_for()
    assert pushes(page) == ["0.00"] * 4


def test_keys_can_be_changed_swap_and_stay_through_a_reload(rater, studio, project, page) -> None:
    page.keyboard.press("?")
    page.get_by_role("button", name="Key for skip: the group goes to other raters: S").click()
    page.keyboard.press("5")  # a picture's key
    page.get_by_text("5 cannot be used here").wait_for()
    page.keyboard.press("u")
    page.get_by_role("button", name="Key for skip: the group goes to other raters: U").wait_for()
    page.get_by_role(
        "button", name="Key for undo the last answer, also after a reload: S"
    ).wait_for()
    page.get_by_role("button", name="Close", exact=True).click()
    page.reload()
    first = rater.wait_for_group()
    assert page.locator("loop-rater [data-action='skip'] kbd").inner_text() == "U"
    rater.press("u")
    (row,) = studio.wait_for_rows(page, project, 1)
    assert (row["group_id"], row["mode"]) == (first, "skip")
    rater.press("s")
    assert rater.wait_for_group() == first
    page.keyboard.press("?")
    page.get_by_role("button", name="Usual keys").click()
    page.get_by_role("button", name="Close", exact=True).click()
    assert page.locator("loop-rater [data-action='skip'] kbd").inner_text() == "S"


def test_a_newcomer_is_told_in_four_steps_that_are_never_in_the_way(rater, page) -> None:
    told = page.locator("loop-rater .first")
    seen = [told.inner_text()]
    for _ in range(3):
        rater.press("1")
        seen.append(told.inner_text())
    assert [text[:6] for text in seen] == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    told.get_by_text("After 3 groups").wait_for()
    page.reload()
    rater.wait_for_group()
    told.get_by_text("After 3 groups").wait_for()
    rater.press("1")
    assert not told.is_visible()
    page.reload()
    rater.wait_for_group()
    assert not told.is_visible()
