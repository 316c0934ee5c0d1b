"""Fine-tuning steered from two browsers, with the real worker on a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from loop_studio.storage import groups, projects, ratings, updates
from loop_studio.storage.groups import ShownGroup
from loop_studio.storage.ratings import RatingIn
from loop_studio.storage.schema import Project
from tests import tiny
from tests.browser.studio import Studio
from tests.jobs.mortal import Life

SOON_MS = 4000  # as in test_training
# An update of half a minute, so that no browser is too slow to steer it; it is stopped long before.
LONG_UPDATE = {
    "num_inference_steps": 20,
    "trained_steps": "all",
    "min_groups": 2,
    "auto_update_groups": None,
    "buffer_groups": 2,
    "lora_rank": 4,
    "passes": 16,
    "micro_batch": 1,
    "guard": False,  # of a random model's pictures nothing is to be expected
}


@pytest.mark.slow
def test_watch_pause_resume_stop_and_keep_a_real_update(
    page: Page, browser: Browser, own: Studio, tmp_path: Path
) -> None:
    folder = tiny.save_folder(tmp_path / "model")
    listed = [("a", []), ("b", [])]
    project = projects.create(own.db, "Tiny", str(folder), listed, LONG_UPDATE)
    other = browser.new_context().new_page()
    with Life(own.settings) as worker:
        for rater in ("ann", "ben"):
            judge(own, next_group(own, worker, project, rater), rater)
        for opened in (page, other):
            opened.set_default_timeout(60_000)
            opened.goto(f"{own.url}/train?project={project.id}")
        page.get_by_role("button", name="Fine-tune now").click()
        page.get_by_text("learns from 2 groups and 2 ratings").wait_for()
        page.keyboard.press("Enter")
        watch_together(page, other)
        pause_and_resume(own, worker, project, page, other)
        stop = page.get_by_role("button", name="Stop and keep")
        expect(stop).to_be_enabled(timeout=60_000)
        stop.click()
        page.get_by_text("Stopping at the next step").wait_for(timeout=SOON_MS)
        for opened in (page, other):
            opened.get_by_text("Update 1: made version 1 live.").wait_for()
        other.get_by_text("Version 1 is live.").wait_for()
        assert other.title().startswith("Version 1 is live")
    [update] = updates.list(own.db, project.id)
    assert 0 < update.optimizer_steps < 2 * LONG_UPDATE["passes"]
    for kind in ("diffusers", "kohya"):
        path = f"/api/v1/versions/{update.version_id}/lora?format={kind}"
        assert page.request.get(own.url + path).status == 200
    other.context.close()


def next_group(studio: Studio, worker: Life, project: Project, rater: str) -> ShownGroup:
    """What this rater is shown next, as soon as the worker has made it."""
    shown: list[ShownGroup] = []

    def ask() -> bool:
        found = groups.next_for(studio.db, project.id, rater, [])
        shown.extend([found] * bool(found))
        return bool(shown)

    worker.until(ask)
    return shown[0]


def judge(studio: Studio, group: ShownGroup, rater: str) -> None:
    judgement = {image.id: float(place == 0) for place, image in enumerate(group.images)}
    ratings.record(studio.db, RatingIn(group.id, group.id, rater, "best", dict(judgement)))


def watch_together(page: Page, other: Page) -> None:
    """Both see it train, with its time left, its speed and its log."""
    for opened in (page, other):
        opened.get_by_text("samples per second").wait_for()
        opened.locator("loop-train dd", has_text="about").wait_for()
    step = int(page.locator("loop-train").get_attribute("data-step") or 0)
    assert step > 0
    reached = "step => Number(document.querySelector('loop-train')?.dataset.step) >= step"
    other.wait_for_function(reached, arg=step, timeout=SOON_MS)
    page.reload()
    page.wait_for_function(reached, arg=step)
    other.get_by_text("Log", exact=True).click()
    other.get_by_text("optimizer step 1: loss").wait_for()


def pause_and_resume(
    studio: Studio, worker: Life, project: Project, page: Page, other: Page
) -> None:
    """Paused by one, seen by both; groups are made meanwhile; resumed by the other."""
    page.get_by_role("button", name="Pause").click()
    resume = other.get_by_role("button", name="Resume")
    resume.wait_for(timeout=SOON_MS)
    page.wait_for_selector("loop-train[data-state='paused']")
    for rater in ("cleo", "dan", "eve", "finn"):
        assert next_group(studio, worker, project, rater).version == 0
    resume.click()
    page.wait_for_selector("loop-train[data-state='running']")
