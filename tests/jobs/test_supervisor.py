"""The supervisor with real worker processes."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest
from sqlalchemy import select

from loop_studio.errors import DataFolderUnusable
from loop_studio.jobs import supervisor as supervising
from loop_studio.jobs.supervisor import Supervisor
from loop_studio.settings import Settings
from loop_studio.storage import jobs
from loop_studio.storage.database import Database
from loop_studio.storage.schema import Worker


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.5])
def test_a_stop_finds_a_worker_that_is_just_being_started(
    settings: Settings, db: Database, after_s: float
) -> None:
    supervisor = Supervisor(settings, db)
    supervisor.start()
    time.sleep(after_s)
    started = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - started < 20
    assert not supervisor._thread.is_alive()
    assert supervisor._process is None or supervisor._process.poll() is not None


def test_what_a_killed_studio_left_is_taken_up_at_once(settings: Settings, db: Database) -> None:
    left = jobs.enqueue(db, "housekeeping")
    assert jobs.claim(db, "killed with its studio") is not None
    supervisor = Supervisor(settings, db)
    supervisor.start()
    try:
        taken = jobs.claim(db, "the next worker")
        assert taken is not None
        assert taken.id == left.id
    finally:
        supervisor.stop()


def test_a_killed_worker_is_replaced_and_what_it_held_is_taken_up_at_once(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "FIRST_DELAY_S", 0.05)
    held = jobs.enqueue(db, "housekeeping")
    supervisor = Supervisor(settings, db)
    supervisor.start()
    try:
        first = started(supervisor, None)
        with db.read() as session:
            worker_id = session.scalars(select(Worker.id)).one()
        assert jobs.claim(db, worker_id) is not None
        first.kill()
        started(supervisor, first)
        taken = jobs.claim(db, "the next worker")
        assert taken is not None
        assert (taken.id, taken.attempt) == (held.id, 2)
    finally:
        supervisor.stop()


def started(supervisor: Supervisor, before: subprocess.Popen[bytes] | None) -> Any:
    """The worker's process, once it is another one than before."""
    end = time.monotonic() + 20
    while supervisor._process is before and time.monotonic() < end:
        time.sleep(0.01)
    assert supervisor._process is not before, "no other worker was started"
    return supervisor._process


def test_a_database_that_fails_for_a_while_does_not_end_the_supervision(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = []
    counted = jobs.finished_count

    def full_at_first(db: Database) -> int:
        if not failures:
            failures.append(1)
            raise DataFolderUnusable("The disk is full.")
        return counted(db)

    monkeypatch.setattr(supervising, "FIRST_DELAY_S", 0.05)
    monkeypatch.setattr(jobs, "finished_count", full_at_first)
    supervisor = Supervisor(settings, db)
    supervisor.start()
    try:
        end = time.monotonic() + 20
        while supervisor._process is None and time.monotonic() < end:
            time.sleep(0.05)
        assert failures
        assert supervisor._process is not None, "no worker was started after the failure"
    finally:
        supervisor.stop()
