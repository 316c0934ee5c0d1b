"""Schedules: what the clock enqueues when its time has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update

from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.schema import Project, Schedule


def create(
    db: Database, project_id: str | None, kind: str, cron: str, next_run_at: datetime
) -> Schedule:
    """A new schedule; `cron` has Unix's meaning, `next_run_at` is its first date."""
    with db.write() as session:
        if project_id is not None:
            found(session, Project, project_id)
        schedule = Schedule(project_id=project_id, kind=kind, cron=cron, next_run_at=next_run_at)
        session.add(schedule)
        return schedule


def get(db: Database, schedule_id: str) -> Schedule:
    """One schedule, or NotFound."""
    with db.read() as session:
        return found(session, Schedule, schedule_id)


def change(
    db: Database,
    schedule_id: str,
    cron: str | None = None,
    next_run_at: datetime | None = None,
    enabled: bool | None = None,
) -> Schedule:
    """Change what is given."""
    with db.write() as session:
        schedule = found(session, Schedule, schedule_id, lock=True)
        schedule.cron = schedule.cron if cron is None else cron
        schedule.next_run_at = next_run_at or schedule.next_run_at
        schedule.enabled = schedule.enabled if enabled is None else enabled
        return schedule


def remove(db: Database, schedule_id: str) -> None:
    """Forget a schedule; repeatable."""
    with db.write() as session:
        changed(session, delete(Schedule).where(Schedule.id == schedule_id))


def due(db: Database, now: datetime) -> Sequence[Schedule]:
    """Enabled schedules whose time has come, the longest overdue first."""
    with db.read() as session:
        wanted = select(Schedule).where(Schedule.enabled, Schedule.next_run_at <= now)
        return session.scalars(wanted.order_by(Schedule.next_run_at)).all()


def advance(db: Database, schedule: Schedule, next_run_at: datetime) -> bool:
    """Move a schedule on; False when another clock has done so already."""
    with db.write() as session:
        unmoved = (Schedule.id == schedule.id, Schedule.next_run_at == schedule.next_run_at)
        return (
            changed(session, update(Schedule).where(*unmoved).values(next_run_at=next_run_at)) == 1
        )


def list(db: Database, project_id: str | None) -> Sequence[Schedule]:
    """The schedules of a project, oldest first."""
    with db.read() as session:
        wanted = select(Schedule).where(Schedule.project_id == project_id)
        return session.scalars(wanted.order_by(Schedule.created_at)).all()
