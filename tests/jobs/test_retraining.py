"""Train again without a rater, with the real job code: nothing of what was left out remains."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from sqlalchemy import select

from loop_studio.errors import Conflict
from loop_studio.jobs.autopilot import make_worker
from loop_studio.settings import Settings
from loop_studio.storage import (
    deleting,
    groups,
    jobs,
    projects,
    ratings,
    retraining,
    updates,
    versions,
)
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.ratings import RatingIn
from loop_studio.storage.schema import Group, Rater, Update, Version
from tests.jobs.conftest import Desk
from tests.jobs.test_update_job import checkpoint_of


def judge(desk: Desk, group_id: str, rater: str, mode: str = "best", worst: bool = False) -> None:
    ids = sorted(image.id for image in groups.images(desk.db, group_id))
    chosen = ids[-1] if worst else ids[0]
    values = {image: float(image == chosen) for image in ids}
    event = f"{rater}-{group_id}"
    ratings.record(desk.db, RatingIn(event, group_id, rater, mode, dict(values)))


def update_with_seed(desk: Desk, seed: int) -> Version:
    update = updates.create(desk.db, desk.project.id)
    with desk.db.write() as session:
        row = session.get(Update, update.id)
        assert row is not None
        row.seed = seed
    desk.work()
    done = updates.get(desk.db, update.id)
    assert done.status == "succeeded", done.error_detail
    return versions.get(desk.db, done.version_id)


def rater_id(desk: Desk, name: str) -> str:
    with desk.db.read() as session:
        return session.query(Rater).filter_by(name=name).one().id


def ready_groups(desk: Desk, count: int) -> list[str]:
    """Groups of version 0, made ahead of every judgement; oldest first."""
    projects.change(desk.db, desk.project.id, settings={"buffer_groups": count})
    jobs.refill(desk.db, desk.project.id)
    desk.work()
    with desk.db.read() as session:
        found = session.scalars(select(Group.id).order_by(Group.created_at, Group.id)).all()
    assert len(found) == count
    return list(found)


def twin(desk: Desk, folder: Path) -> Desk:
    """The same studio as it is now, in a folder of its own."""
    shutil.copytree(desk.files.root.parent, folder)
    settings = Settings(data=folder, port=0, device="cpu")
    db = Database(settings.resolved_database_url)
    return Desk(db, FileStore(settings.files), make_worker(settings, db), desk.project)


@pytest.mark.sqlite
@pytest.mark.parametrize("estimator", ["loop", pytest.param("ppo", marks=pytest.mark.soak)])
def test_two_updates_again_without_a_rater_equal_two_made_without_them(
    desk: Desk, tmp_path: Path, estimator: str
) -> None:
    """Bob judged one group of each update with ann, and one that nobody else had judged."""
    projects.change(desk.db, desk.project.id, settings={"overlap": 2, "estimator": estimator})
    made = ready_groups(desk, 6)
    other = twin(desk, tmp_path / "twin")
    seeds = (11, 12)
    for studio, with_bob in ((desk, True), (other, False)):
        for number, seed in enumerate(seeds):
            first, second, third = made[3 * number : 3 * number + 3]
            judge(studio, first, "ann")
            judge(studio, second, "ann", "good")
            if with_bob:
                judge(studio, first, "bob", worst=True)
                judge(studio, third, "bob")
            if number == 1:
                judge(studio, third, "ann", "good", worst=True)
            update_with_seed(studio, seed)
    recorded = {
        one.id: updates.inputs(desk.db, one.id) for one in updates.list(desk.db, desk.project.id)
    }
    contaminated = versions.by_number(desk.db, desk.project.id, 2)
    started = retraining.start(desk.db, contaminated.id, [rater_id(desk, "bob")], [])
    assert started.status == "queued"
    desk.work()
    again = versions.by_number(desk.db, desk.project.id, 4)
    clean = versions.by_number(other.db, desk.project.id, 2)
    one, two = checkpoint_of(desk, again.id), checkpoint_of(other, clean.id)
    assert all(torch.equal(one.adapter[name], two.adapter[name]) for name in one.adapter)
    assert all(torch.equal(one.optimizer[name], two.optimizer[name]) for name in one.optimizer)
    worse = checkpoint_of(desk, contaminated.id).adapter
    assert not all(torch.equal(one.adapter[name], worse[name]) for name in worse)
    told = [version.parent_id for version in versions.list(desk.db, desk.project.id)]
    numbers = [version.id for version in versions.list(desk.db, desk.project.id)]
    assert told == [None, numbers[0], numbers[1], numbers[0], numbers[3]]
    assert again.name == "Version 2 without bob"
    assert versions.live(desk.db, desk.project.id).id == contaminated.id, "it stays a branch"
    for update_id, rows in recorded.items():
        now = updates.inputs(desk.db, update_id)
        assert [(row.id, row.advantage) for row in now] == [(row.id, row.advantage) for row in rows]
    for repeated in updates.list(desk.db, desk.project.id)[2:]:
        rows = updates.inputs(desk.db, repeated.id)
        assert {row.rater_id for row in rows} == {rater_id(desk, "ann")}
    other.db.dispose()


def test_a_retraining_holds_the_one_place_and_stops_when_it_is_cancelled(desk: Desk) -> None:
    made = ready_groups(desk, 4)
    judge(desk, made[0], "ann")
    judge(desk, made[1], "bob")
    update_with_seed(desk, 1)
    judge(desk, made[2], "ann")
    judge(desk, made[3], "ann")
    last = update_with_seed(desk, 2)
    bob, ann = rater_id(desk, "bob"), rater_id(desk, "ann")
    with pytest.raises(Conflict, match="make version 0 live instead"):
        retraining.start(desk.db, last.id, [bob, ann], [])
    with pytest.raises(Conflict, match="learned nothing from what is left out"):
        retraining.start(desk.db, versions.by_number(desk.db, desk.project.id, 0).id, [bob], [])
    planned = retraining.plan(desk.db, last.id, [], [f"bob-{made[1]}"])
    assert (planned.ancestor.number, len(planned.updates), planned.ratings) == (0, 2, 3)
    first = retraining.start(desk.db, last.id, [], [f"bob-{made[1]}"])
    with pytest.raises(Conflict) as refused:
        updates.create(desk.db, desk.project.id)
    assert refused.value.code == "update_active"
    with pytest.raises(Conflict, match="always stays"):
        deleting.delete_version(
            desk.db, desk.files, versions.by_number(desk.db, desk.project.id, 0).id
        )
    updates.cancel(desk.db, first.id)
    desk.work()
    assert len(versions.list(desk.db, desk.project.id)) == 3
    assert {group.used_by_update_id for group in updates.groups_of(desk.db, first.id)} == {
        update.id for update in updates.list(desk.db, desk.project.id)[:1]
    }, "the originals keep their groups"
