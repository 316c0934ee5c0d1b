"""Updates without people, as `python app.py loop` runs them."""

from __future__ import annotations

import pytest

from loop_studio.errors import Invalid, NotFound, StudioError
from loop_studio.jobs.autopilot import fly, fly_on
from loop_studio.settings import Settings
from loop_studio.storage import autopilots, jobs, projects, updates, versions, workers
from loop_studio.storage.autopilots import Budget
from loop_studio.storage.projects import RewardWeights
from tests.jobs.conftest import Desk


def test_each_update_makes_a_version_from_the_one_before(desk: Desk, settings: Settings) -> None:
    done = list(fly(settings, desk.db, desk.project.id, "clip_score", Budget(updates=2)))
    assert [(update.status, update.made_live) for update in done] == [("succeeded", True)] * 2
    made = versions.list(desk.db, desk.project.id)
    assert [version.number for version in made] == [0, 1, 2]
    assert made[2].parent_id == made[1].id
    assert workers.current(desk.db).state == "none"


def test_an_update_that_a_killed_run_left_is_ended_first(desk: Desk, settings: Settings) -> None:
    projects.set_reward(desk.db, desk.project.id, RewardWeights(0.0, {"clip_score": 1.0}))
    left = updates.create(desk.db, desk.project.id)
    assert jobs.claim(desk.db, "killed", kinds=["update"]) is not None
    done = fly(settings, desk.db, desk.project.id, "clip_score", Budget(updates=1))
    assert [update.id for update in done] == [left.id]
    assert updates.get(desk.db, left.id).status == "succeeded"


def test_a_killed_run_is_resumed_with_what_is_left_of_its_budget(
    desk: Desk, settings: Settings
) -> None:
    flight = fly(settings, desk.db, desk.project.id, "clip_score", Budget(updates=2))
    assert next(flight).number == 1
    flight.close()  # as if it was killed here
    assert [update.number for update in fly_on(settings, desk.db, desk.project.id)] == [2]
    found = autopilots.latest(desk.db, desk.project.id)
    assert found is not None
    assert (found.state, found.updates) == ("finished", 2)
    with pytest.raises(NotFound, match="No autopilot of this project is running or paused"):
        next(fly_on(settings, desk.db, desk.project.id))


def test_it_stops_once_the_mean_score_is_reached(desk: Desk, settings: Settings) -> None:
    budget = Budget(updates=5, reward=-1e9)
    assert len(list(fly(settings, desk.db, desk.project.id, "clip_score", budget))) == 1


def test_a_failed_update_ends_it_with_its_sentence(desk: Desk, settings: Settings) -> None:
    projects.change(desk.db, desk.project.id, settings={"min_groups": 1, "passes": 1})
    with pytest.raises(StudioError, match="single optimizer step"):
        list(fly(settings, desk.db, desk.project.id, "clip_score", Budget(updates=2)))
    found = autopilots.latest(desk.db, desk.project.id)
    assert found is not None
    assert found.state == "paused"


def test_an_unknown_reward_and_an_empty_budget_are_refused(desk: Desk, settings: Settings) -> None:
    with pytest.raises(NotFound, match="no reward model called 'beauty'"):
        next(fly(settings, desk.db, desk.project.id, "beauty", Budget(updates=1)))
    with pytest.raises(Invalid, match="Give autopilot a budget"):
        next(fly(settings, desk.db, desk.project.id, "clip_score", Budget()))
    assert projects.reward(desk.db, desk.project.id).human == 1.0
