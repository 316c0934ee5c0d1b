"""Autopilot as rows: budgets, pauses, and what makes it wait."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loop_studio.errors import Conflict, Invalid, NotFound
from loop_studio.storage import autopilots, groups, guard, jobs, projects, updates, versions
from loop_studio.storage.autopilots import Budget
from loop_studio.storage.database import Database
from loop_studio.storage.guard import Checked
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Autopilot, Project, Update
from loop_studio.storage.updates import NewInput
from tests.storage.studio import FILES, make_group, make_project

UNCHECKED = Checked()
AUTOMATIC = RewardWeights(0.0, {"clip_score": 1.0})


@pytest.fixture
def project(db: Database) -> Project:
    made = make_project(db)
    projects.set_reward(db, made.id, AUTOMATIC)
    return made


def active(db: Database, project: Project) -> Update:
    found = updates.active(db, project.id)
    assert found is not None
    return found


def end(db: Database, project: Project, score: float = 0.5, checked: Checked = UNCHECKED) -> None:
    """The worker's part of one update, without the training."""
    job = jobs.claim(db, "w", kinds=["update"])
    assert job is not None
    assert job.update_id is not None
    started = updates.start(db, job.update_id, job)
    group = make_group(db, project)
    image = {"group_id": group.id, "source": "clip_score", "rater_id": None}
    image |= {"rating_sequence": None, "mode": "score", "source_weight": 1.0, "advantage": 0.1}
    from_images = [
        NewInput(**image, image_id=row.id, reward=score, lag=0)
        for row in groups.images(db, group.id)
    ]
    updates.record_inputs(db, started.id, from_images, {})
    updates.publish(db, job, started.id, FILES, {}, checked=checked)


def age(db: Database, pilot: Autopilot, minutes: float) -> None:
    with db.write() as session:
        row = session.get(Autopilot, pilot.id)
        assert row is not None
        row.looked_at -= timedelta(minutes=minutes)


def test_it_queues_one_update_after_another_until_all_are_done(db, project) -> None:
    pilot = autopilots.start(db, project.id, Budget(updates=2))
    for number in (1, 2):
        step = autopilots.advance(db, pilot.id)
        assert step.autopilot.state == "running"
        assert active(db, project).number == number
        assert autopilots.advance(db, pilot.id).done is None
        end(db, project)
    step = autopilots.advance(db, pilot.id)
    assert step.done is not None
    assert (step.done.number, step.autopilot.updates) == (2, 2)
    assert (step.autopilot.state, step.autopilot.sentence) == (
        "finished",
        "All 2 updates are done.",
    )
    autopilots.tick(db)
    assert updates.active(db, project.id) is None


def test_minutes_count_while_it_runs_and_neither_paused_nor_while_the_studio_is_off(
    db, project
) -> None:
    pilot = autopilots.start(db, project.id, Budget(minutes=10))
    age(db, pilot, 4)
    autopilots.advance(db, pilot.id)
    autopilots.pause(db, pilot.id)
    age(db, pilot, 60)
    autopilots.advance(db, pilot.id)
    autopilots.resume(db, pilot.id)
    age(db, pilot, 600)
    autopilots.wake(db)  # as at a start of the studio
    age(db, pilot, 5)
    step = autopilots.advance(db, pilot.id)
    assert step.autopilot.seconds == pytest.approx(9 * 60, abs=2)
    age(db, pilot, 2)
    assert autopilots.advance(db, pilot.id).autopilot.state == "running"  # its update runs
    end(db, project)
    step = autopilots.advance(db, pilot.id)
    assert (step.autopilot.state, step.autopilot.sentence) == (
        "finished",
        "The 10 minutes are over.",
    )


def test_it_ends_when_the_reward_is_reached(db, project) -> None:
    pilot = autopilots.start(db, project.id, Budget(updates=50, reward=0.6))
    for score in (0.5, 0.7):
        autopilots.advance(db, pilot.id)
        end(db, project, score)
    step = autopilots.advance(db, pilot.id)
    assert step.autopilot.state == "finished"
    assert step.autopilot.reward == pytest.approx(0.7)
    assert step.autopilot.sentence == "The reward has reached 0.7; 0.6 was asked for."


def test_paused_it_queues_nothing_and_counts_the_update_that_ran_on(db, project) -> None:
    pilot = autopilots.start(db, project.id, Budget(updates=2))
    autopilots.advance(db, pilot.id)
    assert autopilots.pause(db, pilot.id).state == "paused"
    assert autopilots.pause(db, pilot.id).state == "paused"
    end(db, project)
    autopilots.tick(db)
    found = autopilots.latest(db, project.id)
    assert found is not None
    assert (found.state, found.updates) == ("paused", 1)
    assert updates.active(db, project.id) is None
    autopilots.resume(db, pilot.id)
    autopilots.tick(db)
    assert active(db, project).number == 2


def test_an_update_that_runs_already_is_its_first(db, project) -> None:
    running = updates.create(db, project.id)
    pilot = autopilots.start(db, project.id, Budget(updates=1))
    autopilots.advance(db, pilot.id)
    end(db, project)
    step = autopilots.advance(db, pilot.id)
    assert step.done is not None
    assert (step.done.id, step.autopilot.state) == (running.id, "finished")


def test_a_failed_update_pauses_it_with_the_updates_own_sentence(db, project) -> None:
    pilot = autopilots.start(db, project.id, Budget(updates=3))
    autopilots.advance(db, pilot.id)
    job = jobs.claim(db, "w", kinds=["update"])
    assert job is not None
    jobs.finish(db, job, "failed", "not_finite", "The gradient was no longer a number.")
    step = autopilots.advance(db, pilot.id)
    assert (step.autopilot.state, step.autopilot.sentence) == (
        "paused",
        "The gradient was no longer a number.",
    )
    assert autopilots.resume(db, pilot.id).sentence == ""
    autopilots.tick(db)
    assert active(db, project).number == 2


def test_a_cancelled_update_pauses_it(db, project) -> None:
    pilot = autopilots.start(db, project.id, Budget(updates=3))
    autopilots.advance(db, pilot.id)
    updates.cancel(db, active(db, project).id)
    step = autopilots.advance(db, pilot.id)
    assert step.autopilot.sentence == "Update 1 was cancelled, so autopilot waits."


def test_when_people_count_again_it_waits(db, project) -> None:
    pilot = autopilots.start(db, project.id, Budget(updates=3))
    projects.set_reward(db, project.id, RewardWeights())
    step = autopilots.advance(db, pilot.id)
    assert step.autopilot.state == "paused"
    assert "People's ratings count again" in step.autopilot.sentence


def test_it_needs_a_reward_that_needs_nobody(db) -> None:
    project = make_project(db)
    with pytest.raises(Conflict, match="choose an automatic or the learned reward") as refused:
        autopilots.start(db, project.id, Budget(updates=1))
    assert refused.value.code == "reward_needs_people"


def test_a_learned_reward_that_does_not_count_yet_cannot_fly(db, project) -> None:
    projects.set_reward(db, project.id, RewardWeights(0.0, {"learned": 1.0}))
    with pytest.raises(Conflict, match="does not count yet"):
        autopilots.start(db, project.id, Budget(updates=1))


def test_one_at_a_time_and_a_new_one_after_the_old_has_stopped(db, project) -> None:
    pilot = autopilots.start(db, project.id, Budget(updates=1))
    with pytest.raises(Conflict, match="Autopilot is running already") as refused:
        autopilots.start(db, project.id, Budget(updates=1))
    assert refused.value.extra == {"autopilot_id": pilot.id}
    autopilots.stop(db, pilot.id)
    with pytest.raises(Conflict, match="has ended"):
        autopilots.resume(db, pilot.id)
    again = autopilots.start(db, project.id, Budget(updates=1))
    found = autopilots.latest(db, project.id)
    assert found is not None
    assert found.id == again.id


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (Budget(), "Give autopilot a budget"),
        (Budget(updates=0), "updates must be a whole number from 1"),
        (Budget(minutes=0), "minutes must be a number above 0"),
        (Budget(minutes=float("nan")), "minutes must be"),
        (Budget(reward=float("inf")), "reward must be a number"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(db, project, budget, sentence) -> None:
    with pytest.raises(Invalid, match=sentence):
        autopilots.start(db, project.id, budget)
    assert autopilots.latest(db, project.id) is None


def test_a_reward_to_reach_needs_one_reward(db, project) -> None:
    projects.set_reward(db, project.id, RewardWeights(0.0, {"clip_score": 1.0, "other": 1.0}))
    with pytest.raises(Invalid, match="mixes 2"):
        autopilots.start(db, project.id, Budget(reward=1.0))


def test_an_unknown_autopilot_is_not_found(db) -> None:
    with pytest.raises(NotFound):
        autopilots.pause(db, "nothing")


def test_while_the_guard_keeps_a_version_back_it_waits_until_someone_decides(db, project) -> None:
    pilot = autopilots.start(db, project.id, Budget(updates=3))
    autopilots.tick(db)
    end(db, project, checked=Checked(concerns=["Every picture is blank."], is_held=True))
    step = autopilots.advance(db, pilot.id)
    assert (step.autopilot.state, step.autopilot.updates) == ("paused", 1)
    assert step.autopilot.sentence.startswith("The guard keeps a version back")
    assert updates.active(db, project.id) is None
    held = versions.by_number(db, project.id, 1)
    autopilots.resume(db, pilot.id)
    assert autopilots.advance(db, pilot.id).autopilot.state == "paused"
    guard.dismiss(db, held.id)
    autopilots.resume(db, pilot.id)
    assert autopilots.advance(db, pilot.id).autopilot.state == "running"
    assert active(db, project).number == 2
