"""Schedules: what the clock enqueues when its time has come.

Every date counts once, whatever clocks do: a schedule remembers the date that it last ran for, and
the step to the next date and what it asks for are one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict
from loop_studio.storage import audit, guard, updates
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.projects import revision_of
from loop_studio.storage.schema import Job, Project, Schedule, now
from loop_studio.timetable import next_run

MOST = 20  # of a project
_SET_BACK = timedelta(days=1)  # a clock set back by more was wrong: dates begin again from now
_TOO_MANY = f"A project has {MOST} schedules at most; remove one first."


def create(
    db: Database, project_id: str | None, kind: str, cron: str, next_run_at: datetime | None = None
) -> Schedule:
    """A new schedule; `cron` has Unix's meaning, on the clocks of the project's time zone.

    Raises Invalid for a line that cannot be read or never runs.
    """
    with db.write() as session:
        if project_id is not None:
            found(session, Project, project_id, lock=True)
            own = select(func.count()).where(Schedule.project_id == project_id)
            if (session.scalar(own) or 0) >= MOST:
                raise Conflict(_TOO_MANY, "too_many_schedules")
        schedule = Schedule(project_id=project_id, kind=kind, cron=" ".join(cron.split()))
        schedule.next_run_at = next_run_at or _next(session, schedule, now())
        session.add(schedule)
        _note(session, f"Made the schedule {schedule.cron}.", project_id)
        return schedule


def get(db: Database, schedule_id: str) -> Schedule:
    """One schedule, or NotFound."""
    with db.read() as session:
        return found(session, Schedule, schedule_id)


def change(
    db: Database, schedule_id: str, cron: str | None = None, enabled: bool | None = None
) -> Schedule:
    """Change what is given; dates that passed meanwhile are not made up for."""
    with db.write() as session:
        schedule = found(session, Schedule, schedule_id, lock=True)
        before = schedule.cron, schedule.enabled
        schedule.cron = schedule.cron if cron is None else " ".join(cron.split())
        schedule.enabled = schedule.enabled if enabled is None else enabled
        schedule.next_run_at = _next(session, schedule, now())
        if schedule.cron != before[0]:
            told = f"Changed the schedule {before[0]} to {schedule.cron}."
            _note(session, told, schedule.project_id)
        if schedule.enabled != before[1]:
            switched = "on" if schedule.enabled else "off"
            told = f"Switched {switched} the schedule {schedule.cron}."
            _note(session, told, schedule.project_id)
        return schedule


def remove(db: Database, schedule_id: str) -> None:
    """Forget a schedule; repeatable."""
    with db.write() as session:
        schedule = session.get(Schedule, schedule_id)
        if schedule and changed(session, delete(Schedule).where(Schedule.id == schedule_id)):
            _note(session, f"Removed the schedule {schedule.cron}.", schedule.project_id)


def run_due(db: Database, moment: datetime) -> None:
    """Run every schedule whose date has come, and correct the dates of the others.

    Those of a clock that was wrong for a while, or of another time zone. Within quiet hours a date
    waits for their end. Several dates that passed count as one.
    """
    with db.read() as session:
        enabled = select(Schedule).where(Schedule.enabled).order_by(Schedule.next_run_at)
        listed = session.scalars(enabled).all()
    for schedule in listed:
        with db.write() as session:
            _run(session, schedule, moment)


def list(db: Database, project_id: str | None) -> Sequence[Schedule]:
    """The schedules of a project, oldest first."""
    with db.read() as session:
        wanted = select(Schedule).where(Schedule.project_id == project_id)
        return session.scalars(wanted.order_by(Schedule.created_at)).all()


def _run(session: Session, seen: Schedule, moment: datetime) -> None:
    """One schedule, unless it was moved on since it was seen: then another clock was here."""
    following = _next(session, seen, max(_last(seen, moment), moment))
    is_due = seen.next_run_at <= moment
    if _is_quiet(session, seen, moment) if is_due else following == seen.next_run_at:
        return
    unmoved = (Schedule.id == seen.id, Schedule.next_run_at == seen.next_run_at, Schedule.enabled)
    moved = update(Schedule).where(*unmoved).values(next_run_at=following)
    if is_due:
        moved = moved.values(last_run_at=seen.next_run_at)
    if changed(session, moved) and is_due:
        outcome = _enqueue(session, seen)
        own = update(Schedule).where(Schedule.id == seen.id)
        changed(session, own.values(last_outcome=outcome))


def _note(session: Session, told: str, project_id: str | None) -> None:
    """The studio's own schedules are nobody's change."""
    if project_id is not None:
        audit.note(session, "settings", told, project_id)


def _last(schedule: Schedule, moment: datetime) -> datetime:
    """The date that it last ran for, if the clock can be believed."""
    last = schedule.last_run_at
    return moment if last is None or last - moment > _SET_BACK else last


def _enqueue(session: Session, schedule: Schedule) -> str:
    """Insert what a due schedule stands for; a refusal waits for the next date."""
    if schedule.kind != "update" or schedule.project_id is None:
        session.add(Job(kind=schedule.kind, project_id=schedule.project_id))
        return "Queued."
    project = found(session, Project, schedule.project_id, lock=True)
    if project.archived:
        return "The project is archived."
    if guard.holds(session, project):
        return "A version is kept back; decide about it first."
    try:
        started = updates.create_in(session, project)
    except Conflict as error:
        return error.detail
    return f"Update {started.number} was queued."


def _next(session: Session, schedule: Schedule, after: datetime) -> datetime:
    if schedule.project_id is None:
        return next_run(schedule.cron, after)
    project = found(session, Project, schedule.project_id)
    return next_run(schedule.cron, after, revision_of(session, project).config.time_zone)


def _is_quiet(session: Session, schedule: Schedule, moment: datetime) -> bool:
    if schedule.project_id is None:
        return False
    project = found(session, Project, schedule.project_id)
    return revision_of(session, project).config.is_quiet(moment)
