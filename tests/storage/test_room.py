"""Room on the disk: what the gauge says, what goes when the quota asks, when generation pauses."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import select

from loop_studio.errors import Conflict
from loop_studio.settings import GIB, Settings
from loop_studio.storage import (
    autopilots,
    jobs,
    projects,
    references,
    room,
    status,
    updates,
    versions,
)
from loop_studio.storage.autopilots import Budget
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore, new_key
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Group, Project
from tests.storage.studio import make_group, make_project, publish, rate, start_update

HUGE_GIB = 1e9


def with_file(db: Database, files: FileStore, group: Group) -> str:
    """The group's trajectory, now with a real file of a hundred bytes."""
    stored = files.put(new_key(".safetensors"), b"t" * 100)
    with db.write() as session:
        row = session.get_one(Group, group.id)
        row.trajectory_key, row.trajectory_size = stored.key, stored.size
    return stored.key


def taught(db: Database, files: FileStore, project: Project) -> str:
    """A group that a version has learned from; the key of its trajectory."""
    group = make_group(db, project)
    key = with_file(db, files, group)
    rate(db, group)
    publish(db, project)
    return key


def kept_keys(db: Database) -> set[str]:
    with db.read() as session:
        return {key for key in session.scalars(select(Group.trajectory_key)) if key}


def full(db: Database, settings: Settings) -> int:
    """A quota that the data fills to the last byte."""
    return room.gauge(db, settings).use.total


def test_the_gauge_adds_up_what_rows_name(db: Database, settings: Settings) -> None:
    project = make_project(db)
    group = make_group(db, project)
    rate(db, group)
    publish(db, project)
    use = room.gauge(db, settings).use
    assert (use.trajectories, use.images, use.versions) == (10, 40, 9)
    assert use.database > 100_000
    assert use.total == sum(dataclasses.astuple(use))


def test_the_quota_takes_the_oldest_trained_trajectories_and_no_more_than_it_needs(
    db: Database, settings: Settings, files: FileStore
) -> None:
    project = make_project(db)
    first, second, third = (taught(db, files, project) for _ in range(3))
    waiting = make_group(db, project)
    awaited = with_file(db, files, waiting)
    rate(db, waiting)
    assert room.make(db, files, full(db, settings)) == 0
    assert room.make(db, files, full(db, settings) - 101) == 200
    assert not files.path(first).exists()
    assert not files.path(second).exists()
    assert files.path(third).exists()
    assert room.make(db, files, 0) == 100
    assert kept_keys(db) == {awaited}


def test_what_is_kept_for_training_again_stays_until_it_no_longer_is(
    db: Database, files: FileStore
) -> None:
    project = make_project(db)
    rate(db, (shared := make_group(db, project)), rater="bob")
    keys = {with_file(db, files, shared), taught(db, files, project)}
    kept = versions.live(db, project.id)
    versions.change(db, kept.id, kept=True)
    later = taught(db, files, project)
    with_file(db, files, retired := make_group(db, project))
    with db.write() as session:
        session.get_one(Group, retired.id).retired_reason = "Too old."
    assert room.make(db, files, 0) == 200
    assert (kept_keys(db), files.path(later).exists()) == (keys, False)
    versions.change(db, kept.id, kept=False)
    assert room.make(db, files, 0) == 200


def test_what_an_update_that_is_under_way_learns_from_stays(db: Database, files: FileStore) -> None:
    project = make_project(db)
    group = make_group(db, project)
    key = with_file(db, files, group)
    rate(db, group)
    update, _ = start_update(db, project)
    updates.claim_groups(db, update.id)
    assert room.make(db, files, 0) == 0
    assert files.path(key).exists()


def test_a_crash_between_row_and_file_leaves_a_file_for_housekeeping(
    db: Database, files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = taught(db, files, make_project(db))

    def killed(self: FileStore, key: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FileStore, "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        room.make(db, files, 0)
    assert files.path(key).exists()
    assert key not in references.keys(db)


def test_below_the_floor_nothing_is_made_and_above_it_goes_on_by_itself(
    db: Database, settings: Settings
) -> None:
    project = make_project(db, buffer_groups=2)
    assert jobs.refill(db, project.id) == 2
    room.look(db, settings.model_copy(update={"free_gib": HUGE_GIB}))
    told = status.status(db, project.id)
    assert told.generation == "paused"
    assert "no group is made below" in told.generation_reason
    assert jobs.refill(db, project.id) == 0
    assert jobs.claim(db, "w", kinds=["rollout"]) is None
    room.look(db, settings)
    assert jobs.refill(db, project.id) == 2


def test_a_quota_that_nothing_can_meet_pauses_and_says_what_to_do(
    db: Database, settings: Settings, files: FileStore
) -> None:
    project = make_project(db)
    assert not room.look(db, settings.model_copy(update={"quota_gib": 1e-6}))
    assert "raise LOOP_STUDIO_QUOTA_GIB" in status.status(db, project.id).generation_reason
    taught(db, files, project)
    nearly = (full(db, settings) - 50) / GIB
    assert room.look(db, settings.model_copy(update={"quota_gib": nearly}))  # one may go
    assert not status.status(db, project.id).generation_reason.startswith("The data")


def test_autopilot_waits_for_room_and_flies_on(db: Database, settings: Settings) -> None:
    project = make_project(db)
    projects.set_reward(db, project.id, RewardWeights(0.0, {"clip_score": 1.0}))
    pilot = autopilots.start(db, project.id, Budget(updates=1))
    room.look(db, settings.model_copy(update={"free_gib": HUGE_GIB}))
    assert autopilots.advance(db, pilot.id).autopilot.state == "running"
    assert updates.active(db, project.id) is None
    with pytest.raises(Conflict, match="no group is made below"):
        updates.create(db, project.id)
    room.look(db, settings)
    autopilots.advance(db, pilot.id)
    assert updates.active(db, project.id) is not None
