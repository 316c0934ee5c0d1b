"""The outbox through restarts, two tabs, refusals and upgrades."""

from __future__ import annotations

from tests.browser.studio import Rater, Studio


def sitting(page, studio: Studio, groups: int = 12) -> tuple[Rater, object]:
    project = studio.project()
    studio.make_groups(project, groups)
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    return rater, project


def test_a_server_restart_in_mid_sitting_loses_nothing(studio: Studio, page) -> None:
    rater, project = sitting(page, studio)
    rater.press("1")
    rater.wait_until_sent()
    page.wait_for_selector("loop-rater[data-ahead='8']")
    studio.stop()
    try:
        for key in "234":
            rater.press(key)
        page.get_by_text("Saved on this device, 3 waiting.").wait_for()
        assert len(studio.rows(project)) == 1
    finally:
        studio.start()
    rows = studio.wait_for_rows(page, project, 4)
    assert len({row["group_id"] for row in rows}) == len(rows) == 4
    page.get_by_text("Saved on this device, 3 waiting.").wait_for(state="hidden")


def test_an_answer_survives_a_reload_in_the_same_instant(studio: Studio, page) -> None:
    rater, project = sitting(page, studio)
    for number in range(5):
        studio.line.hold(0.3)
        page.evaluate(
            """() => {
                const key = new KeyboardEvent("keydown", {key: "1", code: "Digit1", bubbles: true});
                document.dispatchEvent(key);
                location.reload();
            }"""
        )
        rater.wait_for_group()
        assert len(studio.wait_for_rows(page, project, number + 1)) == number + 1


def test_a_clock_set_back_delays_no_answer(studio: Studio, page) -> None:
    rater, project = sitting(page, studio)
    page.route(
        "**/api/v1/ratings",
        lambda route: route.fulfill(
            status=503,
            headers={"Retry-After": "1"},
            json={"detail": "The studio is starting.", "code": "starting"},
        ),
        times=1,
    )
    rater.press("1")
    page.get_by_text("Saved on this device, 1 waiting.").wait_for()
    page.evaluate("() => { const real = Date.now; Date.now = () => real() - 3_600_000; }")
    assert len(studio.wait_for_rows(page, project, 1)) == 1
    rater.wait_until_sent()


def test_two_tabs_of_one_rater_send_once_and_show_no_group_twice(
    studio: Studio, page, context
) -> None:
    rater, project = sitting(page, studio, groups=16)
    second = context.new_page()
    other = Rater(second, studio.url, project.id)
    second.goto(other.url)
    other.wait_for_group()
    studio.line.hold(1.0)
    for _ in range(3):
        rater.press("1")
        second.wait_for_timeout(100)
        other.press("2")
        page.wait_for_timeout(100)
    rater.wait_until_sent()
    other.wait_until_sent()
    rows = studio.wait_for_rows(page, project, 6)
    assert len(rows) == len({row["group_id"] for row in rows}) == 6
    assert {row["status"] for row in rows} == {"active"}


def test_an_answer_that_can_never_succeed_is_set_aside_and_said(studio: Studio, page) -> None:
    rater, project = sitting(page, studio)
    page.route(
        "**/api/v1/ratings",
        lambda route: route.fulfill(
            status=409,
            json={"detail": "This event was sent before.", "code": "event_conflict"},
        ),
        times=1,
    )
    rater.press("1")
    page.get_by_text("1 answer could not be used: This event was sent before.").wait_for()
    rater.press("2")
    assert len(studio.wait_for_rows(page, project, 1)) == 1
    page.reload()
    page.get_by_text("1 answer could not be used").wait_for()
    page.get_by_role("button", name="Put away").click()
    page.get_by_text("1 answer could not be used").wait_for(state="detached")


def test_a_tab_of_an_older_release_reloads_itself_and_keeps_its_outbox(
    studio: Studio, page
) -> None:
    rater, project = sitting(page, studio)
    page.route("**/api/v1/ratings", lambda route: route.abort())
    rater.press("1")
    page.evaluate("window.isOldTab = true")

    def newer(route):
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "x-loop-release": "9.9.9"})

    page.route("**/api/v1/projects/*/status", newer)
    page.wait_for_function("!window.isOldTab")
    page.unroute("**/api/v1/ratings")
    rater.wait_for_group()
    assert len(studio.wait_for_rows(page, project, 1)) == 1
    page.evaluate("window.isSecondTab = true")
    page.wait_for_timeout(6000)
    assert page.evaluate("window.isSecondTab"), "it reloaded for the same release again"


def test_a_group_retired_meanwhile_is_kept_with_its_reason(studio: Studio, page) -> None:
    _, project = sitting(page, studio)
    body = {"settings": {"num_inference_steps": 10}}
    answer = page.request.patch(f"{studio.url}/api/v1/projects/{project.id}", data=body)
    assert answer.ok
    page.keyboard.press("1")
    (row,) = studio.wait_for_rows(page, project, 1)
    assert not row["usable"]
    page.locator("loop-rater .last").get_by_text(row["reason"]).wait_for()
