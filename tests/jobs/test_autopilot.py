"""Updates without people, as `python app.py loop` runs them."""

from __future__ import annotations

import pytest

from loop_studio.errors import NotFound
from loop_studio.jobs.autopilot import fly
from loop_studio.settings import Settings
from loop_studio.storage import jobs, projects, updates, versions, workers
from loop_studio.storage.projects import RewardWeights
from tests.jobs.conftest import Desk


def test_each_update_makes_a_version_from_the_one_before(desk: Desk, settings: Settings) -> None:
    done = list(fly(settings, desk.db, desk.project.id, "clip_score", 2))
    assert [(update.status, update.made_live) for update in done] == [("succeeded", True)] * 2
    made = versions.list(desk.db, desk.project.id)
    assert [version.number for version in made] == [0, 1, 2]
    assert made[2].parent_id == made[1].id
    assert workers.current(desk.db).state == "none"


def test_an_update_that_a_killed_run_left_is_ended_first(desk: Desk, settings: Settings) -> None:
    projects.set_reward(desk.db, desk.project.id, RewardWeights(0.0, {"clip_score": 1.0}))
    left = updates.create(desk.db, desk.project.id)
    assert jobs.claim(desk.db, "killed", kinds=["update"]) is not None
    done = fly(settings, desk.db, desk.project.id, "clip_score", 1)
    assert [update.id for update in done] == [left.id]
    assert updates.get(desk.db, left.id).status == "succeeded"


def test_an_unknown_reward_is_refused(desk: Desk, settings: Settings) -> None:
    with pytest.raises(NotFound, match="no reward model called 'beauty'"):
        next(fly(settings, desk.db, desk.project.id, "beauty", 1))
