"""The clock inserts rows and never computes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from loop_studio.jobs import clock as clock_module
from loop_studio.jobs.clock import Clock
from loop_studio.settings import GIB, Settings
from loop_studio.storage import backups, jobs, leases, room, schedules
from loop_studio.storage.database import Database
from loop_studio.storage.schema import Job, now
from tests.storage.studio import make_group, make_project, publish, rate


def test_a_due_schedule_enqueues_its_job_once(db: Database, settings: Settings) -> None:
    schedules.create(db, None, "housekeeping", "0 3 * * *", now() - timedelta(seconds=1))
    for clock in (Clock(db, settings), Clock(db, settings)):
        clock.due()
    with db.read() as session:
        assert len(session.scalars(select(Job)).all()) == 1


def test_only_the_holder_of_the_lease_ticks(db: Database, settings: Settings) -> None:
    ticked: list[int] = []
    holder, other = Clock(db, settings), Clock(db, settings)
    holder._if_holder(lambda: ticked.append(1))
    other._if_holder(lambda: ticked.append(2))
    assert ticked == [1]
    leases.release(db, "clock", holder._holder)
    other._if_holder(lambda: ticked.append(2))
    assert ticked == [1, 2]


@pytest.mark.sqlite
def test_a_backup_is_asked_for_once_a_night_and_not_before_three(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for hour in (2, 3, 23):
        moment = datetime(2026, 1, 31, hour, tzinfo=UTC)
        for module in (clock_module, backups):
            monkeypatch.setattr(module, "now", lambda moment=moment: moment)
        for settings_given in (settings, settings.model_copy(update={"backups_kept": 0})):
            Clock(db, settings_given).back_up()
        asked.append(backups.last_asked(db))
    assert [job and job.dedupe_key for job in asked] == [None, *["backup/2026-01-31"] * 2]
    assert asked[2].payload == {"backup": str(settings.data / "backups"), "kept": 7}


def test_the_quota_has_housekeeping_make_room(db: Database, settings: Settings) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    publish(db, project)
    quota = (room.gauge(db, settings).use.total - 1) / GIB
    Clock(db, settings.model_copy(update={"quota_gib": quota})).look_for_room()
    job = jobs.claim(db, "w", kinds=["housekeeping"])
    assert job is not None
    assert job.payload["quota"] == round(quota * GIB)
