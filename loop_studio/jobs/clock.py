"""The clock: fixed ticks that insert rows and never compute. APScheduler 3.11 is only the timer.

Two clocks do no harm: the lease row lets one of them act, schedules advance by compare-and-swap,
and every insertion carries a unique key.
"""

from __future__ import annotations

from apscheduler.schedulers.background import BackgroundScheduler

from loop_studio.settings import Settings
from loop_studio.storage import (
    audit,
    auto_update,
    autopilots,
    backups,
    jobs,
    leases,
    projects,
    room,
    schedules,
)
from loop_studio.storage.database import Database
from loop_studio.storage.schema import new_id, now

LEASE = "clock"
LEASE_S = 15.0
BACKUP_HOUR = 3  # UTC; a studio that sleeps then makes its backup once it is awake


class Clock:
    """Ticks while this process holds the clock's lease."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._holder = new_id()
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        ticks = (
            (self.refill, 1),
            (self.fly, 1),
            (self.sweep, 5),
            (self.due, 5),
            (self.after_quiet, 60),
            (self.look_again, 60),
            (self.look_for_room, 30),
            (self.back_up, 60),
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

    def fly(self) -> None:
        """Queue the next update of every autopilot that has one left."""
        autopilots.tick(self._db)

    def sweep(self) -> None:
        """Close what lapsed: jobs of workers that are gone."""
        jobs.sweep(self._db)

    def due(self) -> None:
        """Enqueue what a schedule asks for, once per date."""
        schedules.run_due(self._db, now())

    def after_quiet(self) -> None:
        """Start the updates that quiet hours put off."""
        auto_update.start_after_quiet(self._db)

    def look_again(self) -> None:
        """Where no group could be made while people rate: see whether one can be made now."""
        minute = now().strftime("%Y-%m-%dT%H:%M")
        for project in projects.active(self._db):
            if project.generation_error:
                key = f"check_model/{project.id}/{minute}"
                jobs.enqueue(self._db, "check_model", project.id, dedupe_key=key)

    def look_for_room(self) -> None:
        """Stop and start the making of groups as the disk fills and empties; keep to the quota."""
        if room.look(self._db, self._settings):
            minute = now().strftime("%Y-%m-%dT%H:%M")
            payload = {"quota": self._settings.quota_bytes}
            key = f"room/{minute}"
            jobs.enqueue(self._db, "housekeeping", payload=payload, dedupe_key=key, priority=5)

    def back_up(self) -> None:
        """Ask for the backup of the night, once a day whoever asks; PostgreSQL makes its own."""
        wanted = self._settings.backups_kept > 0 and self._db.is_sqlite
        if wanted and now().hour >= BACKUP_HOUR:
            backups.ask(self._db, self._settings, nightly=True)

    def tidy(self) -> None:
        """Ask for housekeeping, once an hour whoever asks."""
        hour = now().strftime("%Y-%m-%dT%H")
        jobs.enqueue(self._db, "housekeeping", dedupe_key=f"housekeeping/{hour}", priority=-5)

    def _if_holder(self, tick: object) -> None:
        if leases.take(self._db, LEASE, self._holder, LEASE_S) and callable(tick):
            with audit.acting(audit.STUDIO):
                tick()
