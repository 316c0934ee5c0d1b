"""The clock: fixed ticks that insert rows and never compute. APScheduler 3.11 is only the timer.

Two clocks do no harm: the lease row lets one of them act, schedules advance by compare-and-swap,
and every insertion carries a unique key.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from loop_studio.errors import Refused
from loop_studio.storage import jobs, leases, projects, schedules, updates
from loop_studio.storage.database import Database
from loop_studio.storage.schema import Schedule, new_id, now

log = logging.getLogger(__name__)

LEASE = "clock"
LEASE_S = 15.0
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Clock:
    """Ticks while this process holds the clock's lease."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._holder = new_id()
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        ticks = (
            (self.refill, 1),
            (self.sweep, 5),
            (self.due, 5),
            (self.look_again, 60),
            (self.tidy, 3600),
        )
        for tick, seconds in ticks:
            self._scheduler.add_job(
                self._if_holder, "interval", [tick], seconds=seconds, id=tick.__name__
            )

    def start(self) -> None:
        """Start ticking in a thread of its own."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop ticking and let another clock take over at once."""
        self._scheduler.shutdown(wait=True)
        leases.release(self._db, LEASE, self._holder)

    def refill(self) -> None:
        """Keep groups ready ahead of the raters of every active project."""
        for project in projects.active(self._db):
            jobs.refill(self._db, project.id)

    def sweep(self) -> None:
        """Close what lapsed: jobs of workers that are gone."""
        jobs.sweep(self._db)

    def due(self) -> None:
        """Enqueue what a schedule asks for, once per date."""
        moment = now()
        for schedule in schedules.due(self._db, moment):
            if schedules.advance(self._db, schedule, next_run(schedule.cron, moment)):
                enqueue(self._db, schedule)

    def look_again(self) -> None:
        """Where no group could be made while people rate: see whether one can be made now."""
        minute = now().strftime("%Y-%m-%dT%H:%M")
        for project in projects.active(self._db):
            if project.generation_error:
                key = f"check_model/{project.id}/{minute}"
                jobs.enqueue(self._db, "check_model", project.id, dedupe_key=key)

    def tidy(self) -> None:
        """Ask for housekeeping, once an hour whoever asks."""
        hour = now().strftime("%Y-%m-%dT%H")
        jobs.enqueue(self._db, "housekeeping", dedupe_key=f"housekeeping/{hour}", priority=-5)

    def _if_holder(self, tick: object) -> None:
        if leases.take(self._db, LEASE, self._holder, LEASE_S) and callable(tick):
            tick()


def enqueue(db: Database, schedule: Schedule) -> None:
    """Insert the row that a due schedule stands for; a refusal waits for the next date."""
    try:
        if schedule.kind == "update" and schedule.project_id is not None:
            updates.create(db, schedule.project_id)
        else:
            key = f"{schedule.id}/{schedule.next_run_at.isoformat()}"
            jobs.enqueue(db, schedule.kind, project_id=schedule.project_id, dedupe_key=key)
    except Refused as error:
        log.info("schedule %s: %s", schedule.id, error.detail)


def next_run(cron: str, after: datetime) -> datetime:
    """The first date after `after` that a Unix cron line means, in UTC.

    Raises ValueError for a line that is not five cron fields.
    """
    fields = cron.split()
    if len(fields) != 5:
        raise ValueError(f"a cron line has five fields, this has {len(fields)}: {cron!r}")
    minute, hour, day, month, weekday = fields
    trigger = CronTrigger(
        minute=minute,
        hour=hour,
        day=day,
        month=month,
        day_of_week=",".join(_weekdays(part) for part in weekday.split(",")),
        timezone="UTC",
    )
    found: datetime = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
    return found


def _weekdays(part: str) -> str:
    """One part of the weekday field by names: Unix counts from Sunday 0, APScheduler from Monday.

    Ranges are written out, since a Unix range may start on Sunday, APScheduler's last day.
    """
    days, _, stride = part.partition("/")
    days = "0-6" if days == "*" and stride else days
    first, _, last = days.partition("-")
    if not first.isdigit():
        return part
    numbers = range(int(first), int(last or (6 if stride else first)) + 1, int(stride or 1))
    if not numbers or max(numbers) >= len(WEEKDAYS):
        raise ValueError(f"weekdays are 0 to 7, not {part!r}")
    return ",".join(WEEKDAYS[number] for number in numbers)
