"""The Playground: a picture with its recipe, and on to the raters as a group that teaches."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from loop_studio.jobs.autopilot import make_worker
from loop_studio.jobs.worker import Worker
from loop_studio.storage import groups, jobs, projects
from loop_studio.storage.schema import Project
from tests import tiny
from tests.browser.studio import Studio


@pytest.fixture
def project(studio: Studio, tmp_path: Path):
    folder = tiny.save_folder(tmp_path / "model")
    quiet = {"auto_update_groups": None, "buffer_groups": 1, "num_inference_steps": 4}
    return projects.create(studio.db, "Tiny", str(folder), [("a cat", [])], quiet)


def work(worker: Worker, project: Project) -> None:
    """What the worker does for this project, once the page has asked for something."""
    bench, end = worker.bench, time.monotonic() + 10
    while (job := jobs.claim(bench.db, bench.worker_id, project_id=project.id)) is None:
        assert time.monotonic() < end, "the page asked for nothing"
        time.sleep(0.05)
    while job is not None:
        worker.run(job)
        job = jobs.claim(bench.db, bench.worker_id, project_id=project.id)


def open_page(page, studio: Studio, project) -> None:
    page.goto(f"{studio.url}/playground?project={project.id}")
    page.wait_for_selector("loop-playground[data-state='ready']")


def test_a_picture_is_made_and_sent_to_the_raters_as_a_group(page, studio, project) -> None:
    worker = make_worker(studio.settings, studio.db)
    open_page(page, studio, project)
    assert page.get_by_label("Prompt").input_value() == "a cat"
    assert page.get_by_label("Denoising steps").input_value() == "4"
    page.get_by_label("Prompt").fill("a dog")
    page.get_by_label("Seed").fill("12")
    page.get_by_label("Adapter weight").fill("0.5")
    page.get_by_label("Denoising steps").fill("6")
    page.get_by_role("button", name="Make the picture").click()
    page.get_by_text("Waiting for the worker.").wait_for()
    work(worker, project)
    result = page.locator("loop-playground .results li")
    result.get_by_role("heading", name="a dog").wait_for()
    words = " ".join(result.inner_text().split())
    for told in ("Seed 12", "Version 0", "Adapter weight 0.5", "Denoising steps 6", "Guidance 3"):
        assert told in words
    assert "the project's own settings apply (steps 4, guidance 3, weight 1)" in words
    assert "not what you changed here (steps, weight)" in words
    result.get_by_role("button", name="Send to the rating queue").click()
    result.get_by_text("Being made.").wait_for()
    work(worker, project)
    result.get_by_text("It waits on the Rate page").wait_for()
    shown = groups.next_for(studio.db, project.id, "Ada")
    assert shown is not None
    while shown.prompt != "a dog":
        shown = groups.next_for(studio.db, project.id, "Ada", [shown.id])
        assert shown is not None
    assert groups.images(studio.db, shown.id)[0].seed == 12
    assert groups.get(studio.db, shown.id).trajectory_key


def test_unknown_words_and_refusals_are_told(page, studio) -> None:
    project = studio.project()
    open_page(page, studio, project)
    page.get_by_label("Guidance").fill("99")
    page.get_by_role("button", name="Make the picture").click()
    page.get_by_text("guidance_scale must be a number from 1 to 30").wait_for()
    page.get_by_label("Guidance").fill("three")
    page.get_by_role("button", name="Make the picture").click()
    page.get_by_role("alert").get_by_text("guidance_scale must be").wait_for()
    page.get_by_label("Prompt").fill("a red zeppelin")
    page.get_by_label("Guidance").fill("3")
    page.get_by_role("button", name="Make the picture").click()
    page.get_by_text("Waiting for the worker.").wait_for()
    page.get_by_text("The model never saw “zeppelin”.").wait_for()


def test_every_page_is_in_the_navigation_of_a_telephone(page, studio) -> None:
    project = studio.project()
    studio.make_groups(project, 1)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{studio.url}/train?project={project.id}")
    page.wait_for_function("document.title.includes('·')")
    more = page.locator("loop-nav summary")
    more.click()
    boxes = [link.bounding_box() for link in page.locator("loop-nav nav a").all()]
    shown = [box for box in boxes if box]
    assert len(shown) == len(boxes) - 3  # three are in the bar of a wide page alone
    assert all(min(box["width"], box["height"]) >= 44 for box in shown)
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in shown)
    assert page.get_by_role("link", name="Playground").is_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Playground").wait_for(state="hidden")
    more.click()
    page.mouse.click(100, 600)
    page.get_by_role("link", name="Playground").wait_for(state="hidden")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
