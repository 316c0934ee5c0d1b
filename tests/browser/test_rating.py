"""Gestures, undo, names and what the page says, against the real API."""

from __future__ import annotations

import pytest

from tests.browser.studio import Rater, Studio


@pytest.fixture
def project(studio: Studio):
    made = studio.project(min_groups=3)
    studio.make_groups(made, 12)
    return made


@pytest.fixture
def rater(page, studio, project) -> Rater:
    person = Rater(page, studio.url, project.id)
    person.arrive()
    return person


def values(row, pictures):
    return [row["judgement"].get(picture) for picture in pictures]


def test_a_digit_chooses_and_shift_marks_others_as_also_good(rater, studio, project, page) -> None:
    pictures = rater.shown()
    page.keyboard.press("Shift+Digit3")
    page.keyboard.press("Shift+Digit4")
    page.keyboard.press("Shift+Digit4")  # takes the mark back
    rater.press("1")
    (row,) = studio.wait_for_rows(page, project, 1)
    assert row["mode"] == "best"
    assert values(row, pictures) == [1, 0, 0.5, 0]
    assert row["order"] == pictures
    assert 0 < row["elapsed_ms"] < 60_000


@pytest.mark.parametrize(
    ("key", "value", "usable"), [("0", 0, False), ("=", 0.5, False), ("2", None, True)]
)
def test_none_and_all_equal_say_that_there_is_no_learning_signal(
    rater, studio, project, page, key, value, usable
) -> None:
    pictures = rater.shown()
    rater.press(key)
    (row,) = studio.wait_for_rows(page, project, 1)
    if value is not None:
        assert values(row, pictures) == [value] * 4
    last = page.locator("loop-rater .last")
    if usable:
        last.get_by_text("Counts for the next fine-tuning.").wait_for()
        assert last.get_by_text("+0.75").count() == 1
        assert last.get_by_text("\u22120.25").count() == 3
    else:
        last.get_by_text("No learning signal").wait_for()


def test_skip_makes_an_empty_judgement(rater, studio, project, page) -> None:
    rater.press("s")
    (row,) = studio.wait_for_rows(page, project, 1)
    assert (row["mode"], row["judgement"], row["usable"]) == ("skip", {}, False)


def test_stars_are_given_one_by_one_and_the_last_moves_on(rater, studio, project, page) -> None:
    page.keyboard.press("m")
    assert page.locator("loop-rater").get_attribute("data-mode") == "stars"
    pictures = rater.shown()
    for key in "52":
        page.keyboard.press(key)
    page.keyboard.press("u")  # takes back the 2
    for key in "413":
        before = rater.wait_for_group()
        page.keyboard.press(key)
    rater.wait_for_group(other_than=before)
    (row,) = studio.wait_for_rows(page, project, 1)
    assert row["mode"] == "stars"
    assert values(row, pictures) == [5, 4, 1, 3]
    page.reload()
    rater.wait_for_group()
    assert page.locator("loop-rater").get_attribute("data-mode") == "stars"


def test_undo_brings_the_group_back_also_after_a_reload(rater, studio, project, page) -> None:
    first = rater.wait_for_group()
    second = rater.press("1")
    rater.press("2")
    assert rater.press("u") == second
    rater.wait_until_sent()
    page.reload()
    assert rater.wait_for_group() == second
    assert rater.press("u") == first
    rater.press("4")
    rater.press("4")
    rows = studio.wait_for_rows(page, project, 4)
    states = [(row["group_id"], row["status"]) for row in rows]
    undone = [(first, "undone"), (second, "undone")]
    assert states == [*undone, (first, "active"), (second, "active")]


def test_clicks_and_touch_do_what_keys_do(rater, studio, project, page) -> None:
    pictures = rater.shown()
    page.get_by_role("button", name="Picture 2 is also good").click()
    group = rater.wait_for_group()
    page.get_by_role("radio", name="Picture 3").click()
    rater.wait_for_group(other_than=group)
    (row,) = studio.wait_for_rows(page, project, 1)
    assert values(row, pictures) == [0, 0.5, 1, 0]


def test_a_long_press_marks_also_good_and_does_not_choose(rater, page) -> None:
    group = rater.wait_for_group()
    box = page.get_by_role("radio", name="Picture 2").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.wait_for_timeout(700)
    page.mouse.up()
    also = page.get_by_role("button", name="Picture 2 is also good")
    assert also.get_attribute("aria-pressed") == "true"
    assert rater.wait_for_group() == group


def test_keys_with_modifiers_repeats_and_keys_in_fields_make_no_row(
    rater, studio, project, page
) -> None:
    group = rater.wait_for_group()
    for key in ("Control+1", "Alt+2", "Meta+3"):
        page.keyboard.press(key)
    page.evaluate(
        "dispatchEvent(new KeyboardEvent('keydown', {key: '1', code: 'Digit1', repeat: true}))"
    )
    page.get_by_role("button", name="Ada").click()
    page.get_by_label("Your name").press("1")
    page.keyboard.press("Escape")
    assert rater.wait_for_group() == group
    assert studio.rows(project) == []


def test_the_name_is_kept_and_can_be_changed(rater, studio, project, page) -> None:
    rater.press("1")
    page.get_by_role("button", name="Ada").click()
    page.get_by_label("Your name").fill("Grace")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Grace").wait_for()
    rater.wait_for_group()
    page.reload()
    rater.wait_for_group()
    rater.press("2")
    rows = studio.wait_for_rows(page, project, 2)
    assert [row["rater"] for row in rows] == ["Ada", "Grace"]


def test_an_empty_buffer_makes_no_row_and_fills_by_itself(studio, page) -> None:
    project = studio.project()
    studio.make_groups(project, 1)
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    page.keyboard.press("1")
    page.wait_for_selector("loop-rater[data-state='empty']")
    page.keyboard.press("2")
    page.keyboard.press("3")
    assert "No worker is running" in page.locator("loop-rater .empty").inner_text()
    studio.make_groups(project, 1)
    rater.wait_for_group()
    assert len(studio.wait_for_rows(page, project, 1)) == 1


def test_the_version_is_told_after_judging_and_not_before(rater, page) -> None:
    markup = "document.querySelector('loop-rater').shadowRoot.querySelector('.stage').outerHTML"
    assert "ersion" not in page.evaluate(markup)
    assert page.locator("loop-rater .last").is_hidden()
    rater.press("1")
    page.locator("loop-rater .last").get_by_text("Last group: version 0").wait_for()


def test_progress_leads_to_fine_tune_now(rater, studio, project, page) -> None:
    page.get_by_text("0 of 3 usable groups to fine-tune").wait_for()
    assert page.get_by_role("button", name="Fine-tune now").is_hidden()
    for key in "123":
        rater.press(key)
    page.get_by_role("button", name="Fine-tune now").click()
    page.get_by_text("It starts from version 0 and learns from 3 groups and 3 ratings.").wait_for()
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("link", name="Watch").wait_for()


@pytest.mark.parametrize("mode", ["best", "stars", "rank"])
def test_every_touch_target_is_large_and_nothing_overflows_on_a_phone(rater, page, mode) -> None:
    page.get_by_label("Way of judging").select_option(mode)
    for width in (390, 360):
        page.set_viewport_size({"width": width, "height": 740})
        page.wait_for_timeout(100)
        sizes = page.evaluate(
            """() => [...document.querySelectorAll("loop-rater, loop-nav")]
                .flatMap(host => [...host.shadowRoot.querySelectorAll("button, select, nav a")])
                .filter(node => getComputedStyle(node).pointerEvents !== "none")
                .map(node => [node.innerText, node.getBoundingClientRect()])
                .filter(([, box]) => box.width)
                .map(([text, box]) => [text, box.width, box.height, box.right, box.bottom])"""
        )
        assert len(sizes) > 10
        for text, wide, high, right, bottom in sizes:
            assert min(wide, high) >= 43.9, text
            assert right <= width, text
            assert bottom <= 740, text


def test_stars_on_a_phone_rate_the_framed_picture(rater, studio, project, page) -> None:
    page.set_viewport_size({"width": 390, "height": 740})
    page.get_by_label("Way of judging").select_option("stars")
    pictures = rater.shown()
    page.get_by_role("radio", name="Picture 3").click()
    group = rater.wait_for_group()
    for stars in (5, 1, 2, 3):
        page.get_by_role("button", name=f"{stars} of 5 stars for the framed picture").click()
    rater.wait_for_group(other_than=group)
    (row,) = studio.wait_for_rows(page, project, 1)
    assert values(row, pictures) == [1, 2, 5, 3]


def test_good_and_ranking_judge_what_was_marked(rater, studio, project, page) -> None:
    page.get_by_label("Way of judging").select_option("good")
    first = rater.shown()
    page.keyboard.press("2")
    page.keyboard.press("4")
    rater.press("Enter")
    page.get_by_label("Way of judging").select_option("rank")
    second = rater.shown()
    page.keyboard.press("3")
    page.keyboard.press("1")
    rater.press("2")
    rows = studio.wait_for_rows(page, project, 2)
    assert [row["mode"] for row in rows] == ["good", "rank"]
    assert values(rows[0], first) == [0, 1, 0, 1]
    assert values(rows[1], second) == [2, 3, 1, 4]
