"""The whole job with nothing replaced: the real worker, the starter, a person at the pages."""

from __future__ import annotations

import time

import pytest

from benchmarks.studio import Studio
from tests.browser.studio import Rater

GROUPS = 8
# As everywhere but shorter: fewer denoising steps, one pass, no pool made ahead of one person.
BRISK = {"num_inference_steps": 6, "passes": 1, "buffer_groups": 2}


@pytest.mark.slow
def test_rate_fine_tune_watch_and_rate_the_new_version(page, tmp_path) -> None:
    page.set_default_timeout(180_000)
    with Studio(tmp_path / "data", starter=True) as studio:
        studio.client.patch("projects/starter", json={"settings": BRISK}).raise_for_status()
        url = f"http://127.0.0.1:{studio.port}"
        rater = Rater(page, url, "starter")
        rater.arrive()
        for number in range(GROUPS):
            rater.press(str(number % 4 + 1))
        rater.wait_until_sent()
        assert studio.get("projects/starter/status")["usable_groups"] == GROUPS

        page.get_by_role("link", name="Train").click()
        page.get_by_role("button", name="Fine-tune now").click()
        page.get_by_text("learns from 8 groups and 8 ratings").wait_for()
        page.keyboard.press("Enter")
        progress = watch_progress(page)
        assert len(progress) > 3, progress
        assert max(progress) > 50, progress
        page.get_by_text("Update 1: made version 1 live.").wait_for()

        page.get_by_role("link", name="Versions").click()
        page.locator("loop-versions [data-version='1']").get_by_text("Live").wait_for()
        assert page.get_by_role("link", name="Download version 1 for kohya").is_visible()

        page.get_by_role("link", name="Rate").click()
        assert "Last group: version 1" in judge_until_version_1(rater)


def judge_until_version_1(rater: Rater) -> str:
    """What the page says of the first group of version 1; older ones come while it is made."""
    last = rater.page.locator("loop-rater .last")
    for _ in range(20):
        rater.press("0")
        rater.wait_until_sent()
        if "version 1" in last.inner_text():
            break
        rater.page.wait_for_timeout(2000)
    return last.inner_text()


def watch_progress(page) -> list[int]:
    """What the progress bar said, until the update ended."""
    page.wait_for_selector("loop-train:not([data-state='idle'])")
    component = page.locator("loop-train")
    seen: list[int] = []
    end = time.monotonic() + 600
    while True:
        # State and bar in one look: between two, the update may end and the bar be gone.
        state, value = component.evaluate(
            """train => [train.dataset.state, Number((train.shadowRoot ?? train)
                .querySelector('[role=progressbar]')?.getAttribute('aria-valuenow') ?? 0)]"""
        )
        if state == "idle":
            return seen
        assert time.monotonic() < end, "the update did not end"
        if not seen or seen[-1] != value:
            seen.append(value)
        page.wait_for_timeout(100)
