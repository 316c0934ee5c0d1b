"""The Rewards page: the mix in one click, also in the middle of a run; cards, and the trial."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from loop_studio.jobs.autopilot import make_worker
from loop_studio.storage import groups, jobs, projects, scoring, updates
from loop_studio.storage.schema import Project
from tests import tiny
from tests.browser.studio import Studio, picture
from tests.storage.studio import rate

QUICK = {
    "num_inference_steps": 4,
    "group_size": 2,
    "min_groups": 2,
    "buffer_groups": 2,
    "auto_update_groups": None,
    "lora_rank": 4,
}


@pytest.fixture
def project(studio: Studio, page):
    made = studio.project()
    arrive(page, studio, made.id)
    return made


def arrive(page, studio: Studio, project_id: str) -> None:
    page.goto(f"{studio.url}/rewards?project={project_id}")
    page.wait_for_selector("loop-rewards[data-state='ready']")


def saved(page) -> None:
    page.get_by_text("Saved. The next update uses it.").wait_for()


def card(page, name: str):
    return page.locator(f"loop-rewards .card[data-name='{name}']")


def test_people_automatic_or_both_are_one_click_each(studio, project, page) -> None:
    assert page.get_by_role("radio", name="People").is_checked()
    for name, wanted in (
        ("Automatic", (0.0, {"clip_score": 1.0})),
        ("Both", (1.0, {"clip_score": 1.0})),
        ("People", (1.0, {})),
    ):
        page.get_by_role("radio", name=name).check()
        page.wait_for_function(
            "name => document.querySelector('loop-rewards').shadowRoot"
            ".querySelector('input[name=preset]:checked').value === name",
            arg=name.lower(),
        )
        saved(page)
        weights = wait_for(studio, project, *wanted)
        assert weights.human == wanted[0]


def wait_for(studio, project, human, models):
    """The weights in force, once they are these."""
    for _ in range(100):
        weights = projects.reward(studio.db, project.id)
        used = {name: weight for name, weight in weights.models.items() if weight > 0}
        if (weights.human, used) == (human, models):
            return weights
        threading.Event().wait(0.05)
    raise AssertionError(weights)


def test_a_card_joins_the_mix_and_its_slider_sets_the_share(studio, project, page) -> None:
    card(page, "colourfulness").get_by_role("checkbox").check()
    wait_for(studio, project, 1.0, {"colourfulness": 1.0})
    expect(page.locator("loop-rewards .share")).to_have_text(["50 %", "50 %"])
    slider = page.get_by_role("slider", name="Colourfulness")
    slider.fill("3")
    wait_for(studio, project, 1.0, {"colourfulness": 3.0})
    expect(page.locator("loop-rewards .share")).to_have_text(["25 %", "75 %"])
    page.reload()
    page.wait_for_selector("loop-rewards[data-state='ready']")
    assert page.get_by_role("slider", name="Colourfulness").input_value() == "3"
    card(page, "colourfulness").get_by_role("checkbox").uncheck()
    wait_for(studio, project, 1.0, {})


def test_all_weights_at_nothing_are_refused_with_a_sentence(studio, project, page) -> None:
    page.get_by_role("radio", name="Both").check()
    wait_for(studio, project, 1.0, {"clip_score": 1.0})
    page.get_by_role("slider", name="People").fill("0")
    wait_for(studio, project, 0.0, {"clip_score": 1.0})
    last = page.get_by_role("slider", name="CLIP score")
    last.fill("0")
    page.get_by_text("Something must count: leave one of the weights above 0.").wait_for()
    assert last.input_value() == "1"
    wait_for(studio, project, 0.0, {"clip_score": 1.0})


def test_what_is_missing_is_said_on_its_card_and_set_up_there(studio, project, page) -> None:
    hps = card(page, "hps_v2")
    hps.get_by_text("in a form that is never read here").wait_for()
    assert hps.get_by_role("checkbox").is_disabled()
    judge = card(page, "judge")
    judge.get_by_text("No endpoint is set.").wait_for()
    judge.locator("summary").click()
    judge.get_by_label("Endpoint").fill("http://127.0.0.1:9/v1")
    judge.get_by_label("Model").fill("eye")
    judge.get_by_role("button", name="Save").click()
    judge.locator(".missing").wait_for(state="detached")
    assert projects.reward(studio.db, project.id).parameters["judge"]["model"] == "eye"
    judge.get_by_role("checkbox").check()
    wait_for(studio, project, 1.0, {"judge": 1.0})


def test_scoring_of_what_is_there_is_followed(studio, project, page) -> None:
    card(page, "sharpness").get_by_role("checkbox").check()
    page.get_by_text("The groups made before wait to be scored (Sharpness).").wait_for()
    job = scoring.latest(studio.db, project.id)
    assert job is not None
    taken = jobs.claim(studio.db, "worker", kinds=["score"], project_id=project.id)
    assert taken is not None
    jobs.progress(studio.db, taken, "scoring", 12, 40)
    page.get_by_text("Scoring the groups made before: 12 of 40 (Sharpness).").wait_for()
    jobs.finish(studio.db, taken, "succeeded")
    page.locator("loop-rewards .scoring").wait_for(state="hidden")


@contextmanager
def worker_of(studio: Studio, project: Project) -> Iterator[None]:
    """The real worker in a thread of this process, for the jobs of one project."""
    worker = make_worker(studio.settings, studio.db)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            job = jobs.claim(studio.db, worker.bench.worker_id, project_id=project.id)
            if job is not None:
                worker.run(job)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def test_pictures_and_groups_are_scored_side_by_side(studio, page, tmp_path) -> None:
    project = studio.project()
    studio.make_groups(project, 1)
    judge_all(studio, project)
    arrive(page, studio, project.id)
    page.locator("loop-rewards .chip", has_text="Variety").locator("input").check()
    with worker_of(studio, project):
        page.locator("loop-rewards button.group").click()
        page.get_by_text("Done.", exact=True).wait_for()
        assert page.locator("loop-rewards .results thead img").count() == 4
        rows = page.locator("loop-rewards .results tbody tr")
        assert rows.count() == 2
        assert page.locator("loop-rewards .results .is-best").count() >= 2
        file = tmp_path / "mine.png"
        file.write_bytes(picture(7))
        page.get_by_label("Picture", exact=True).set_input_files(file)
        page.get_by_label("Prompt it is held against").fill("a red fish")
        page.get_by_role("button", name="Score this picture").click()
        page.get_by_text("try it on a group").wait_for()
    assert page.locator("loop-rewards .results thead img").count() == 1


def judge_all(studio: Studio, project: Project) -> None:
    for group_id in scoring.lacking(studio.db, project.id, "nobody", "1"):
        rate(studio.db, groups.get(studio.db, group_id), "Ada")


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_folder(tmp_path_factory.mktemp("tiny") / "model")


def test_the_reward_is_swapped_in_the_middle_of_a_running_project(
    studio, page, tiny_folder
) -> None:
    """People, then automatic while the worker runs, then people again: each update says which."""
    listed = [("a red fish", []), ("a tree", [])]
    project = projects.create(studio.db, "Running", str(tiny_folder), listed, QUICK)
    arrive(page, studio, project.id)
    with worker_of(studio, project):
        page.get_by_role("radio", name="Automatic").check()
        wait_for(studio, project, 0.0, {"clip_score": 1.0})
        first = fine_tune(studio, page, project)
        page.get_by_role("radio", name="Both").check()
        card(page, "brightness").get_by_role("checkbox").check()
        card(page, "clip_score").get_by_role("checkbox").uncheck()
        wait_for(studio, project, 1.0, {"brightness": 1.0})
        page.get_by_role("slider", name="People").fill("0")
        wait_for(studio, project, 0.0, {"brightness": 1.0})
        second = fine_tune(studio, page, project)
    used = [{row.source for row in updates.inputs(studio.db, one)} for one in (first, second)]
    assert used == [{"clip_score"}, {"brightness"}]


def fine_tune(studio: Studio, page, project) -> str:
    update = updates.create(studio.db, project.id)
    for _ in range(600):
        update = updates.get(studio.db, update.id)
        if update.finished_at:
            break
        page.wait_for_timeout(100)
    assert (update.status, update.error_detail) == ("succeeded", None)
    return update.id


def test_the_settings_page_leads_here(studio, project, page) -> None:
    page.goto(f"{studio.url}/settings?project={project.id}")
    page.get_by_text("The next update learns from people.").wait_for()
    page.get_by_role("link", name="Change it on the Rewards page").click()
    page.wait_for_selector("loop-rewards[data-state='ready']")


def test_at_390_pixels_nothing_is_cut_off(studio, project, page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    page.wait_for_selector("loop-rewards[data-state='ready']")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    nav = page.locator("loop-nav nav").locator("a:visible, summary:visible")
    boxes = [link.bounding_box() for link in nav.all()]
    assert len(boxes) == 5
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
