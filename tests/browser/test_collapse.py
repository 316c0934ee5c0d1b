"""A collapse that really happens: a bold learning rate, the starter, the real worker, a person."""

from __future__ import annotations

import pytest

from loop_studio.jobs.autopilot import make_worker
from loop_studio.storage import groups, ratings, updates, versions
from loop_studio.storage.ratings import RatingIn
from tests.browser.studio import Studio

BOLD = {
    "learning_rate": 0.1,  # fifty times the default
    "kl_weight": 0.0,  # and no brake
    "num_inference_steps": 8,
    "min_groups": 2,
    "buffer_groups": 2,
}


@pytest.mark.slow
def test_a_bold_learning_rate_ruins_a_version_which_does_not_go_live(studio: Studio, page) -> None:
    texts = ("a red circle", "a blue square", "a green star")
    project = studio.project(texts, **BOLD)
    worker = make_worker(studio.settings, studio.db)
    for _ in range(2):
        judge(studio, project.id, worker)
    update = updates.create(studio.db, project.id)
    while updates.get(studio.db, update.id).status != "succeeded":
        assert worker.run_next()

    assert not updates.get(studio.db, update.id).made_live
    assert versions.live(studio.db, project.id).number == 0
    page.goto(f"{studio.url}/train?project={project.id}")
    page.get_by_role("heading", name="Version 1 is kept, but not live").wait_for()
    page.get_by_text("Made version 1, kept back until you decide").wait_for()
    assert page.locator("loop-guard .concerns li").count() >= 1
    page.wait_for_function(
        """() => {
            const shown = document.querySelector("loop-guard").shadowRoot.querySelectorAll("img");
            return shown.length === 6 && [...shown].every(image => image.naturalWidth > 0);
        }"""
    )
    page.get_by_role("button", name="Stay with version 0").click()
    page.locator("loop-guard").wait_for(state="hidden")
    assert versions.live(studio.db, project.id).number == 0


def judge(studio: Studio, project_id: str, worker) -> None:
    """Judge the next group best-of-k, as soon as it is made."""
    while (shown := groups.next_for(studio.db, project_id, "Ada", [])) is None:
        assert worker.run_next()
    best = min(image.id for image in shown.images)
    judgement = {image.id: float(image.id == best) for image in shown.images}
    ratings.record(studio.db, RatingIn(shown.id, shown.id, "Ada", "best", judgement))
