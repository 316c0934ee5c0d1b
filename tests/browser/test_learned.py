"""The learned reward and autopilot on their page: what is known, switched in one click."""

from __future__ import annotations

import pytest

from loop_studio.storage import autopilots, learned, projects
from loop_studio.storage.files import StoredFile
from loop_studio.storage.learned import NewFit
from loop_studio.storage.projects import RewardWeights
from tests.browser.accessibility import serious
from tests.browser.studio import Studio
from tests.storage.studio import make_group, rate

MEASURED = {
    "held_out": 9,
    "accuracy": 0.78,
    "low": 0.46,
    "high": 0.93,
    "bound": 0.66,
    "bins": [
        {"sure": 0.56, "right": 0.5, "pairs": 8},
        {"sure": 0.76, "right": 0.83, "pairs": 12},
        {"sure": 0.94, "right": 1.0, "pairs": 7},
    ],
}
WAITING = "It orders 62 % of unseen pairs as people do; that may still be luck."


def fit(studio: Studio, project_id: str, sentence: str = "") -> None:
    file = StoredFile("fits/one", "0" * 64, 3)
    new = NewFit(file, None, 31, 27, MEASURED, not sentence, sentence)
    learned.record(studio.db, project_id, new)


@pytest.fixture
def project(studio: Studio):
    return studio.project()


def open_page(studio: Studio, project, page) -> None:
    page.goto(f"{studio.url}/rewards?project={project.id}")
    page.wait_for_selector("loop-learned[data-state]")
    page.wait_for_selector("loop-autopilot[data-state]")


def test_it_says_what_is_missing_and_nothing_is_drawn(studio, project, page) -> None:
    rate(studio.db, make_group(studio.db, project))
    open_page(studio, project, page)
    part = page.locator("loop-learned")
    part.get_by_text("Nothing is learned yet.").wait_for()
    part.get_by_text("judge 7 more groups.").wait_for()
    assert part.locator("svg").count() == 0


def test_accuracy_and_calibration_are_drawn_and_read_out(studio, project, page) -> None:
    fit(studio, project.id)
    open_page(studio, project, page)
    part = page.locator("loop-learned")
    part.get_by_text("It has proved itself. No update learns from it until you say so.").wait_for()
    part.get_by_role("heading", name="Right in 78 %").wait_for()
    part.get_by_text("95 % interval 46 % to 93 %, from 9 groups served at random").wait_for()
    assert part.locator(".calibration circle").count() == 3
    part.get_by_text("The numbers").click()
    rows = part.locator("tbody tr").all_inner_texts()
    assert [row.split() for row in rows][1] == ["76", "%", "83", "%", "12"]


def test_one_click_lets_updates_learn_from_it_and_another_stops_that(studio, project, page) -> None:
    fit(studio, project.id)
    open_page(studio, project, page)
    part = page.locator("loop-learned")
    part.get_by_label("Let updates learn from it").check()
    part.get_by_text("It has proved itself, and updates learn from it.").wait_for()
    assert projects.reward(studio.db, project.id).models["learned"] == 0.5
    assert projects.reward(studio.db, project.id).human == 1.0
    part.get_by_label("Let updates learn from it").uncheck()
    part.get_by_text("No update learns from it until you say so.").wait_for()
    assert projects.reward(studio.db, project.id).models["learned"] == 0.0


def test_a_setback_is_told_while_the_last_good_state_stays(studio, project, page) -> None:
    fit(studio, project.id, WAITING)
    nothing = NewFit(None, None, 2, 2, {}, False, "Judge 6 more groups.")
    learned.record(studio.db, project.id, nothing)
    open_page(studio, project, page)
    part = page.locator("loop-learned")
    part.get_by_text(WAITING).wait_for()
    part.get_by_text(
        "Judge 6 more groups. Until then what was learned before stays in use."
    ).wait_for()


def test_autopilot_is_refused_with_a_sentence_then_started_paused_and_stopped(
    studio, project, page
) -> None:
    open_page(studio, project, page)
    part = page.locator("loop-autopilot")
    part.get_by_role("button", name="Start autopilot").click()
    part.get_by_text("choose an automatic or the learned reward alone").wait_for()
    projects.set_reward(studio.db, project.id, RewardWeights(0.0, {"clip_score": 1.0}))
    part.get_by_label("Updates").fill("many")
    part.get_by_role("button", name="Start autopilot").click()
    part.get_by_text("updates must be a whole number, or empty.").wait_for()
    part.get_by_label("Updates").fill("3")
    part.get_by_label("Time").fill("20")
    part.get_by_role("button", name="Start autopilot").click()
    part.get_by_text("Running").wait_for()
    part.get_by_text("0 of 3 updates, 0 of 20 minutes.").wait_for()
    part.get_by_role("button", name="Pause").click()
    part.get_by_text("Paused").wait_for()
    page.reload()
    part.get_by_role("button", name="Resume").click()
    part.get_by_text("Running").wait_for()
    part.get_by_role("button", name="Stop").click()
    part.get_by_text("Stopped").wait_for()
    part.get_by_role("button", name="Start autopilot").wait_for()
    found = autopilots.latest(studio.db, project.id)
    assert found is not None
    assert (found.state, found.most_updates) == ("stopped", 3)


def test_axe_finds_nothing_serious(studio, project, page) -> None:
    fit(studio, project.id)
    open_page(studio, project, page)
    page.locator("loop-learned").get_by_text("The numbers").click()
    assert serious(page) == []
