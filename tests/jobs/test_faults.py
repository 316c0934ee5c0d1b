"""What befalls the data folder while the worker works: a plain sentence, and on when it is mended.

Each test's name states what happens; docs/faults.md lists them all.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from loop_studio.errors import DataFolderUnusable, RewardFailed
from loop_studio.jobs import pictures
from loop_studio.jobs.autopilot import make_worker
from loop_studio.jobs.clock import Clock
from loop_studio.settings import Settings
from loop_studio.storage import database, groups, jobs, projects, updates, versions, workers
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.migration import migrate
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Base, Job, Rating, Update, UtcDateTime, Version
from tests.jobs.conftest import SETTINGS, Desk
from tests.jobs.mortal import PUBLISH, Life, Moment
from tests.storage.test_files import FullDisk

DAY = timedelta(days=1)
WAYS = ["forwards", "backwards"]


def in_training(desk: Desk, act: Callable[[], object]) -> None:
    """Do something once, as an update trains its third step."""
    bench, between = desk.worker.bench, desk.worker.bench.between
    left = [act]

    def acted(job: Job, phase: str, step: int, steps: int) -> bool:
        if left and phase == "training" and step >= 3:
            left.pop()()
            bench._reported_at = 0.0
        return between(job, phase, step, steps)

    bench.between = acted  # type: ignore[method-assign]


def the_job(desk: Desk, update: Update) -> Job:
    with desk.db.read() as session:
        return session.scalars(select(Job).where(Job.update_id == update.id)).one()


@pytest.mark.parametrize("jump", [pytest.param(DAY, marks=pytest.mark.soak), -DAY], ids=WAYS)
def test_a_clock_that_jumps_in_mid_update_costs_no_step_and_keeps_nobody_waiting(
    desk: Desk, settings: Settings, jump: timedelta
) -> None:
    desk.rate(2)
    clock, ticked = Clock(desk.db, settings), []
    clock._if_holder(lambda: ticked.append("before"))
    update = updates.create(desk.db, desk.project.id)

    def leap() -> None:
        set_clock(desk.db, jump)
        clock._if_holder(clock.sweep)

    in_training(desk, leap)
    desk.work()
    assert updates.get(desk.db, update.id).made_live
    assert the_job(desk, update).attempt == 1
    assert len(desk.rate(1)) == 1, "groups are made on"
    set_clock(desk.db, jump)
    Clock(desk.db, settings)._if_holder(lambda: ticked.append("a studio started after a kill"))
    assert len(ticked) == 2
    workers.mark(desk.db, "started after a kill", "starting")
    assert workers.current(desk.db).state == "starting"


def set_clock(db: Database, jump: timedelta) -> None:
    """As if the machine's clock had jumped: every moment written down lies that far off."""
    with db.write() as session:
        for table in Base.metadata.sorted_tables:
            times = [column for column in table.columns if isinstance(column.type, UtcDateTime)]
            keys = list(table.primary_key.columns)
            for row in session.execute(select(*keys, *times)).mappings().all() if times else ():
                moved = {time: row[time] - jump for time in times if row[time] is not None}
                own = (key == row[key] for key in keys)
                session.execute(table.update().where(*own).values(moved))


@pytest.mark.sqlite
def test_a_database_locked_in_mid_update_puts_it_back_and_it_goes_on_once_it_is_free(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.rate(2)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    desk.db.dispose()  # connections wait as long as was said when they were made
    update = updates.create(desk.db, desk.project.id)
    lock = sqlite3.connect(desk.db.file or "", isolation_level=None)
    in_training(desk, lambda: lock.execute("BEGIN IMMEDIATE"))
    with pytest.raises(database.Busy, match="busy"):
        desk.work()
    lock.rollback()
    assert updates.get(desk.db, update.id).status == "running"
    jobs.expire_leases(desk.db)  # nobody renews the lease of a job that nobody runs
    desk.work()
    assert updates.get(desk.db, update.id).made_live


@pytest.mark.sqlite
@pytest.mark.soak
def test_a_database_deleted_in_mid_update_is_not_made_anew_and_the_update_goes_on_when_it_is_back(
    desk: Desk, tmp_path: Path
) -> None:
    desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    file = desk.db.file
    assert file is not None
    in_training(desk, lambda: file.rename(tmp_path / "elsewhere"))
    for _ in range(2):
        with pytest.raises(DataFolderUnusable, match="is gone from the data folder"):
            desk.work()
    assert not file.exists()
    (tmp_path / "elsewhere").rename(file)
    jobs.expire_leases(desk.db)
    desk.work()
    assert updates.get(desk.db, update.id).made_live


def test_a_disk_that_fills_in_a_publish_fails_the_update_with_a_sentence_and_it_works_with_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Injected at the store's second file of the version; the soak run fills a real one."""
    desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    put, written = FileStore.put, []

    def filling(store: FileStore, key: str, data: Any) -> Any:
        written.append(key)
        if len(written) < 2:
            return put(store, key, data)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", lambda path, _mode: FullDisk(path))
            return put(store, key, data)

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "put", filling)
        only_update(desk)
    failed = updates.get(desk.db, update.id)
    assert (failed.status, failed.error_code) == ("failed", "data_folder_unusable")
    assert (failed.error_detail or "").startswith("The disk is full; free some space")
    assert [version.number for version in versions.list(desk.db, desk.project.id)] == [0]
    assert not list(desk.files.root.rglob("*.partial"))
    again = updates.create(desk.db, desk.project.id)
    desk.work()
    done = updates.get(desk.db, again.id)
    assert (done.made_live, done.group_count, done.rating_count) == (True, 2, 2)


def only_update(desk: Desk) -> None:
    while job := jobs.claim(desk.db, desk.worker.bench.worker_id, ["update"]):
        desk.worker.run(job)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may mount nothing; the injected full disk is tested everywhere")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.soak
def test_a_disk_that_is_really_full_in_a_publish_loses_nothing_and_the_update_ends_with_room(
    small_disk: Path, tiny_folder: Path
) -> None:
    settings = Settings(data=small_disk / "data", port=0, device="cpu")
    migrate(settings)
    db, ballast = Database(settings.resolved_database_url), small_disk / "ballast"
    project = projects.create(db, "Tiny", str(tiny_folder), [("a fish", [])], SETTINGS)
    desk = Desk(db, FileStore(settings.files), make_worker(settings, db), project)
    desk.rate(2)
    update = updates.create(db, project.id)
    with Life(settings, Moment(PUBLISH, 2, blow=signal.SIGSTOP)) as life:
        life.until_held()
        fill(ballast)
        life.signal(signal.SIGCONT)
        with pytest.raises(DataFolderUnusable, match="The disk is full"):
            desk.rate(1, "ben")
        ballast.unlink()
        life.until(lambda: updates.get(db, update.id).status not in ("queued", "running"))
        ended = updates.get(db, update.id)
        if ended.status == "failed":
            assert ended.error_code == "data_folder_unusable"
            update = updates.create(db, project.id)
            life.until(lambda: updates.get(db, update.id).status == "succeeded")
    with db.read() as session:
        assert len(session.scalars(select(Rating)).all()) == 2
    [_, version] = versions.list(db, project.id)
    for kind in ("resume", "diffusers", "kohya"):
        assert versions.whole_file(db, desk.files, version.id, kind).is_file()
    db.dispose()


def fill(ballast: Path) -> None:
    """Take all the room there is, to the last byte."""
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 2**10, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def test_a_damaged_live_version_pauses_generation_with_a_sentence_and_another_version_goes_on(
    desk: Desk, version: Version
) -> None:
    versions.activate(desk.db, version.id)
    path = desk.files.path(versions.file(desk.db, version.id, "resume").key)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    jobs.refill(desk.db, desk.project.id)
    desk.work()
    told = projects.get(desk.db, desk.project.id).generation_error or ""
    assert "was changed or damaged outside the studio" in told
    assert "make another version live" in told
    versions.activate(desk.db, versions.by_number(desk.db, desk.project.id, 0).id)
    assert len(desk.rate(1)) == 1


def test_a_damaged_picture_is_left_out_of_an_automatic_update_and_the_other_groups_teach(
    desk: Desk,
) -> None:
    damaged, *whole = desk.rate(3)
    spoil(desk.files.path(groups.images(desk.db, damaged)[0].key), "cut short")
    projects.set_reward(desk.db, desk.project.id, RewardWeights(1.0, {"brightness": 1.0}))
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    done = updates.get(desk.db, update.id)
    assert done.status == "succeeded"
    assert {row.group_id for row in updates.inputs(desk.db, update.id)} == set(whole)
    assert "is gone or damaged, so its group cannot be scored" in (done.notice or "")


@pytest.mark.parametrize("harm", ["cut short", "overwritten", "deleted"])
def test_a_picture_that_cannot_be_read_is_one_sentence(files: FileStore, harm: str) -> None:
    stored = files.put("a/b.png", pictures.png(np.zeros((64, 64, 3), np.uint8)))
    assert pictures.opened(files, stored.key).size == (64, 64)
    spoil(files.path(stored.key), harm)
    with pytest.raises(RewardFailed, match=r"a/b\.png in the data folder is gone or damaged"):
        pictures.opened(files, stored.key)


def spoil(path: Path, harm: str) -> None:
    whole = path.read_bytes()
    path.unlink()
    if harm != "deleted":
        path.write_bytes(whole[:-30] if harm == "cut short" else b"\xff" * len(whole))
