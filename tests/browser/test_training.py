"""The Train page: what an update will use, where it is, who steers it, what failed, what waits."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from loop_studio.storage import jobs, ratings, updates
from loop_studio.storage.groups import images, next_for
from loop_studio.storage.ratings import RatingIn
from loop_studio.storage.schema import Job, Project, Update
from loop_studio.storage.updates import Figures
from tests.browser.accessibility import serious
from tests.browser.studio import Studio
from tests.storage.studio import FILES

SOON_MS = 4000  # pages show a new state within two seconds; a busy machine gets as long again


@pytest.fixture
def project(studio: Studio) -> Project:
    """Two usable groups, as many as an update needs."""
    made = studio.project(min_groups=2)
    studio.make_groups(made, 2)
    for number in range(2):
        shown = next_for(studio.db, made.id, "Ada", [])
        assert shown is not None
        best = shown.images[0].id
        judgement = {image.id: float(image.id == best) for image in images(studio.db, shown.id)}
        event = f"{made.id}-{number}"
        ratings.record(studio.db, RatingIn(event, shown.id, "Ada", "best", judgement))
    return made


@pytest.fixture
def other(browser: Any) -> Any:
    """Somebody else's browser."""
    context = browser.new_context()
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    yield opened
    context.close()


def visit(page: Page, studio: Studio, project: Project, name: str = "train") -> Page:
    page.goto(f"{studio.url}/{name}?project={project.id}")
    if name == "train":
        page.wait_for_selector("loop-train[data-state]")
    return page


def running(studio: Studio, project: Project) -> tuple[Update, Job]:
    """An update that a worker has begun, with one optimizer step done."""
    update = updates.active(studio.db, project.id) or updates.create(studio.db, project.id)
    job = jobs.claim(studio.db, "w", kinds=["update"], project_id=project.id)
    assert job is not None
    updates.start(studio.db, update.id, job)
    updates.claim_groups(studio.db, update.id)
    report(studio, job, 120)
    return update, job


def report(studio: Studio, job: Job, step: int) -> None:
    told = Figures(1, samples_per_s=12.5, memory_bytes=1_400_000_000, accelerator_bytes=None)
    updates.progress(studio.db, job, "training", step, 960, 75.0, told)


def test_fine_tune_now_tells_what_it_will_use_and_enter_starts_it(page, studio, project) -> None:
    visit(page, studio, project)
    page.get_by_role("button", name="Fine-tune now").click()
    page.get_by_text("starts from version 0 and learns from 2 groups and 2 ratings.").wait_for()
    assert updates.active(studio.db, project.id) is None
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Fine-tune now")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_selector("loop-train[data-state='queued']", timeout=SOON_MS)
    assert len(updates.list(studio.db, project.id)) == 1


def test_every_browser_shows_the_same_progress_at_once_and_after_a_reload(
    page, other, studio, project
) -> None:
    for opened in (page, other):
        visit(opened, studio, project)
    update, job = running(studio, project)
    for step in (120, 360):
        report(studio, job, step)
        for opened in (page, other):
            opened.wait_for_selector(f"loop-train[data-step='{step}']", timeout=SOON_MS)
    page.reload()
    for words in (
        "Training: 360 of 960",
        "about 1 min 15 s",
        "12.5 samples per second",
        "1.4 GB",
    ):
        for opened in (page, other):
            opened.get_by_text(words, exact=True).wait_for()
    updates.record_log(studio.db, update.id, ["12:00:01 optimizer step 1: loss 0.1"])
    page.get_by_text("Log", exact=True).click()
    page.get_by_text("12:00:01 optimizer step 1").wait_for()


def test_pause_resume_and_stop_are_acknowledged_in_every_browser(
    page, other, studio, project
) -> None:
    update, job = running(studio, project)
    for opened in (page, other):
        visit(opened, studio, project)
    page.get_by_role("button", name="Pause").click()
    for opened in (page, other):
        opened.get_by_text("Pausing at the next step").wait_for(timeout=SOON_MS)
    updates.park(studio.db, job)
    for opened in (page, other):
        opened.wait_for_selector("loop-train[data-state='paused']", timeout=SOON_MS)
    expect(page.get_by_role("button", name="Stop and keep")).to_be_disabled()
    other.get_by_role("button", name="Resume").click()
    for opened in (page, other):
        opened.wait_for_selector("loop-train[data-state='queued']", timeout=SOON_MS)
    update, job = running(studio, project)
    page.get_by_role("button", name="Stop and keep").click()
    for opened in (page, other):
        opened.get_by_text("Stopping at the next step; what is learned is kept").wait_for()
    updates.publish(studio.db, job, update.id, FILES, {})
    for opened in (page, other):
        opened.get_by_text("Update 1: made version 1 live.").wait_for(timeout=2 * SOON_MS)


def test_opposite_buttons_end_in_a_plain_sentence(page, other, studio, project) -> None:
    update, job = running(studio, project)
    for opened in (page, other):
        visit(opened, studio, project)
        opened.get_by_text("Training: 120 of 960").wait_for()
    other.route("**/status", lambda request: request.abort())  # it has not heard of the first
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelling at the next step").wait_for()
    other.get_by_role("button", name="Pause").click()
    other.get_by_text("Someone cancelled update 1, so it cannot be paused.").wait_for()
    other.unroute("**/status")
    jobs.finish(studio.db, job, "cancelled", "cancelled", "Cancelled on request.")
    for opened in (page, other):
        opened.wait_for_selector("loop-train[data-state='idle']", timeout=2 * SOON_MS)
    assert updates.get(studio.db, update.id).status == "cancelled"


def test_a_failure_shows_code_sentence_next_step_and_a_report(page, studio, project) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=studio.url)
    update, job = running(studio, project)
    updates.record_log(studio.db, update.id, ["12:00:01 it was going well"])
    sentence = "The accelerator ran out of memory."
    jobs.finish(studio.db, job, "failed", "out_of_memory", sentence, "Traceback")
    visit(page, studio, project)
    panel = page.locator("loop-train .failure")
    for words in ("Update 1 failed", sentence, "out_of_memory", "Change that in the settings"):
        panel.get_by_text(words).first.wait_for()
    panel.get_by_role("button", name="Copy report").click()
    panel.get_by_text("Copied.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"out_of_memory: {sentence}" in copied
    assert "12:00:01 it was going well" in copied
    assert "Traceback" not in copied
    panel.get_by_role("button", name="Try again").click()
    page.wait_for_selector("loop-train[data-state='queued']")


def test_a_version_that_goes_live_is_told_on_another_page_and_in_the_title(
    page, studio, project
) -> None:
    visit(page, studio, project, "versions")
    page.wait_for_function("document.querySelector('loop-nav')?.version === 0")
    title = page.title()
    update, job = running(studio, project)
    updates.publish(studio.db, job, update.id, FILES, {})
    page.locator("loop-nav .notice", has_text="Version 1 is live.").wait_for()
    assert page.title() == f"Version 1 is live · {title}"
    page.locator("loop-nav .notice button").dispatch_event("click")
    assert page.title() == title


def test_schedules_are_tried_added_switched_off_and_removed(page, studio, project) -> None:
    visit(page, studio, project)
    line = page.get_by_label("Also at these times")
    line.fill("0 0 31 2 *")
    page.get_by_text("No date ever meets '0 0 31 2 *'").wait_for()
    line.press("Enter")
    page.get_by_role("button", name="every Sunday at 09:00").click()
    means = page.locator("loop-train #cron-means")
    means.get_by_text("Next: Sun").wait_for()
    assert means.inner_text().count("Sun") == 3
    line.press("Enter")
    row = page.locator("loop-train .schedules li")
    row.get_by_text("0 9 * * 0").wait_for()
    row.get_by_role("button", name="Switch off").click()
    row.get_by_text("Switched off.").wait_for()
    row.get_by_role("button", name="Remove").click()
    row.wait_for(state="detached")


def test_the_queue_shows_the_order_and_tries_a_failed_job_again(page, studio, project) -> None:
    broken = jobs.enqueue(studio.db, "check_model", project.id, priority=30)
    job = jobs.claim(studio.db, "w", kinds=["check_model"], project_id=project.id)
    jobs.finish(studio.db, job, "failed", "model_unusable", "A part of the model is missing.")
    updates.create(studio.db, project.id)
    visit(page, studio, project)
    page.locator("loop-train .queue-fold summary").click()
    page.locator("loop-train .queue").get_by_text("Fine-tune", exact=True).first.wait_for()
    failed = page.locator("loop-train .is-failed", has_text="A part of the model is missing.")
    failed.get_by_role("button", name="Try again").click()
    failed.wait_for(state="detached")
    assert jobs.get(studio.db, broken.id).state == "queued"
    updates.cancel(studio.db, updates.active(studio.db, project.id).id)
    jobs.finish(studio.db, jobs.claim(studio.db, "w", kinds=["check_model"]), "succeeded")


def test_running_and_failed_pages_are_accessible_and_fit_a_phone(page, studio, project) -> None:
    _, job = running(studio, project)
    visit(page, studio, project)
    page.get_by_text("Training: 120 of 960").wait_for()
    check(page)
    jobs.finish(studio.db, job, "failed", "out_of_memory", "Out of memory.")
    page.get_by_text("Update 1 failed").wait_for()
    check(page)
    page.get_by_role("button", name="Fine-tune now").click()
    page.get_by_text("It starts from version 0").wait_for()
    check(page)


def check(page: Page) -> None:
    """Nothing serious for axe, nothing too small to touch, nothing beyond a phone's edge."""
    assert serious(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    too_small = page.evaluate(
        """() => [...document.querySelector("loop-train").shadowRoot
            .querySelectorAll("button, summary, input")]
            .map(node => [node.innerText, node.getBoundingClientRect()])
            .filter(([, box]) => box.width && (box.height < 44 || box.right > 391))
            .map(([text, box]) => [text, box.height, box.right])"""
    )
    assert too_small == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 800})
