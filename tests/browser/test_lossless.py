"""Not one answer is lost, doubled, or given to a picture that was not on screen."""

from __future__ import annotations

import time

from tests.browser.studio import Rater, Studio

KEYS = 40


def test_forty_keys_through_a_stall_and_a_reload_make_forty_rows(studio: Studio, page) -> None:
    project = studio.project()
    studio.make_groups(project, KEYS + 12)
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    expected = {}
    pressed_at = 0.0
    group = rater.wait_for_group()
    for number in range(KEYS):
        if number == 12:
            studio.line.hold(2.0)
        if number == 18:
            studio.line.hold(2.0)
            assert page.locator("loop-rater").get_attribute("data-waiting") != "0"
            page.reload()
            group = rater.wait_for_group()
        time.sleep(max(0.0, pressed_at + 0.05 - time.monotonic()))
        pictures = rater.shown()
        place = number % 4
        assert group not in expected, "a group came a second time"
        expected[group] = {image: float(i == place) for i, image in enumerate(pictures)}
        pressed_at = time.monotonic()
        page.keyboard.press(str(place + 1))
        group = rater.wait_for_group(other_than=group)
    rater.wait_until_sent()
    rows = studio.rows(project)
    assert {row["group_id"]: row["judgement"] for row in rows} == expected
    assert len(rows) == KEYS
    assert {row["status"] for row in rows} == {"active"}
