"""Consent, blurred pictures, a report and its decision: one person's way through the pages."""

from __future__ import annotations

import json

from axe_playwright_python.sync_playwright import Axe

from loop_studio.storage import consent, exporting, projects, reports
from tests.browser.studio import Rater, Studio

SERIOUS = {"serious", "critical"}
VEILED = "loop-rater .slot img.is-veiled"


def finds_nothing_serious(page) -> None:
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in SERIOUS]
    assert not serious, json.dumps(serious, indent=1)[:3000]


def look_before_judging(page, rater: Rater) -> None:
    """The first press of a blurred picture shows it and judges nothing."""
    group = rater.wait_for_group()
    assert page.locator(VEILED).count() == 4
    page.get_by_role("radio", name="Picture 2, blurred: press to show it").click()
    assert page.locator(VEILED).count() == 3
    page.keyboard.press("3")
    assert page.locator(VEILED).count() == 2
    finds_nothing_serious(page)
    page.keyboard.press("v")
    assert page.locator(VEILED).count() == 0
    assert rater.wait_for_group() == group


def report_the_second(page, rater: Rater) -> str:
    """The id of the picture."""
    group, reported = rater.wait_for_group(), rater.shown()[1]
    page.keyboard.press("p")
    page.get_by_role("dialog").get_by_role("radio", name="Picture 2").check()
    page.get_by_label("Reason, if you like").fill("not nice")
    page.get_by_role("button", name="Report", exact=True).click()
    rater.wait_for_group(other_than=group)
    return reported


def test_agree_look_report_and_decide(studio: Studio, page) -> None:
    project = studio.project(content="blur")
    studio.make_groups(project, 3)
    consent.set_text(studio.db, project.id, "<b>We keep</b> your answers.")
    rater = Rater(page, studio.url, project.id)
    page.goto(rater.url)
    page.get_by_label("Your name").fill("Ada")
    page.keyboard.press("Enter")
    page.get_by_text("<b>We keep</b> your answers.").wait_for()
    finds_nothing_serious(page)
    page.get_by_role("button", name="I agree").click()
    look_before_judging(page, rater)
    reported = report_the_second(page, rater)
    [row] = reports.listing(studio.db, project.id)
    assert (row.image_id, row.reason, row.state) == (reported, "not nice", "open")
    page.keyboard.press("v")
    rater.press("1")
    rater.press("s")
    assert reported not in rater.shown()  # the first group came again, without it
    assert len(rater.shown()) == 3
    rater.wait_until_sent()

    page.goto(f"{studio.url}/history?project={project.id}")
    look = page.get_by_role("button", name="Blurred: press to show it").first
    look.focus()
    page.keyboard.press("Enter")
    assert page.locator("loop-history dialog").count() == 0
    assert page.locator("loop-history img.is-veiled").count() == 7

    page.goto(f"{studio.url}/settings?project={project.id}")
    page.locator("loop-nav .badge", has_text="1").wait_for()
    page.get_by_role("button", name="Keep").click()
    page.get_by_text("Kept: it is shown again.").first.wait_for()
    assert reports.get(studio.db, row.id).state == "kept"


def test_a_new_text_is_agreed_to_before_waiting_answers_are_sent(studio: Studio, page) -> None:
    project = studio.project()
    studio.make_groups(project, 3)
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    consent.set_text(studio.db, project.id, "New words.")
    page.keyboard.press("1")
    page.get_by_text("New words.").wait_for()
    assert not list(exporting.rows(studio.db, project.id))
    page.get_by_role("button", name="I agree").click()
    rater.wait_until_sent()
    assert len(studio.wait_for_rows(page, project, 1)) == 1


def test_the_status_page_says_what_needs_attention(studio: Studio, page) -> None:
    project = studio.project()
    projects.set_generation_error(studio.db, project.id, "The model is gone.")
    page.goto(f"{studio.url}/status?project={project.id}")
    page.get_by_text("No group can be made in Test: The model is gone.").wait_for()
    summary = page.locator("loop-nav summary")
    assert summary.get_attribute("aria-current") == "page"
    summary.press("Enter")
    page.get_by_role("link", name="Status").wait_for()
    finds_nothing_serious(page)
    projects.set_generation_error(studio.db, project.id, None)
