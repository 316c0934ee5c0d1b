"""The clock inserts rows and never computes; cron lines mean what Unix means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from loop_studio.jobs.clock import Clock, next_run
from loop_studio.storage import leases, schedules
from loop_studio.storage.database import Database
from loop_studio.storage.schema import Job, now

SUNDAY_NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 3 * * *", datetime(2026, 11, 23, 3, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2026, 11, 22, 12, 15, tzinfo=UTC)),
        ("0 3 * * 0", datetime(2026, 11, 29, 3, tzinfo=UTC)),
        ("0 3 * * 7", datetime(2026, 11, 29, 3, tzinfo=UTC)),
        ("0 3 * * 1-5", datetime(2026, 11, 23, 3, tzinfo=UTC)),
        ("0 3 * * 6", datetime(2026, 11, 28, 3, tzinfo=UTC)),
        ("0 12 * * 0-3", datetime(2026, 11, 23, 12, tzinfo=UTC)),
        ("0 0 * * */2", datetime(2026, 11, 24, 0, tzinfo=UTC)),
        ("30 4 1 * *", datetime(2026, 12, 1, 4, 30, tzinfo=UTC)),
    ],
)
def test_cron_means_what_unix_means(cron: str, expected: datetime) -> None:
    assert next_run(cron, SUNDAY_NOON) == expected


@pytest.mark.parametrize("cron", ["", "* * * *", "61 * * * *", "a b c d e", "* * * * 8"])
def test_a_wrong_cron_line_is_refused(cron: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # APScheduler words it, we only refuse
        next_run(cron, SUNDAY_NOON)


def test_a_due_schedule_enqueues_its_job_once(db: Database) -> None:
    schedules.create(db, None, "housekeeping", "0 3 * * *", now() - timedelta(seconds=1))
    for clock in (Clock(db), Clock(db)):
        clock.due()
    with db.read() as session:
        assert len(session.scalars(select(Job)).all()) == 1


def test_only_the_holder_of_the_lease_ticks(db: Database) -> None:
    ticked: list[int] = []
    holder, other = Clock(db), Clock(db)
    holder._if_holder(lambda: ticked.append(1))
    other._if_holder(lambda: ticked.append(2))
    assert ticked == [1]
    leases.release(db, "clock", holder._holder)
    other._if_holder(lambda: ticked.append(2))
    assert ticked == [1, 2]
