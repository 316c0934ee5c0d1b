"""What people ask of an update that is under way: cancel, pause, resume, stop and keep.

The row says what was asked; the worker obeys between two steps. Who presses first is heard, and
the other one is told; only cancelling goes before everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict
from loop_studio.storage import audit, jobs
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.schema import ACTIVE, Job, Update, now
from loop_studio.storage.settling import settle_update, unstart_update


@dataclass(frozen=True)
class Wish:
    """What the worker is asked to do with the update that it runs."""

    cancel: bool = False
    pause: bool = False
    stop: bool = False


def wish(db: Database, job: Job) -> Wish:
    """What was asked of the update of this job, last of all."""
    with db.read() as session:
        columns = select(Job.cancel_requested, Update.requested).join(
            Update, Update.id == Job.update_id
        )
        cancelling, requested = session.execute(columns.where(Job.id == job.id)).one()
        return Wish(cancelling, requested == "pause", requested == "stop")


def cancel(db: Database, update_id: str) -> Update:
    """Ask an update to end without a version; one that waits ends at once. Repeatable.

    Raises Conflict `already_finished` when it has succeeded or failed.
    """
    with _held(db, update_id, ended_well=("cancelled",)) as (session, asked):
        if asked.status == "cancelled":
            return asked
        if not asked.cancel_requested:
            _note(session, asked, "Cancelled")
        asked.cancel_requested = True
        if _move_job(session, asked, ("queued", "paused"), "cancelled"):
            settle_update(session, asked.id, "cancelled", "cancelled", "Cancelled on request.")
        else:
            running = (Job.update_id == asked.id, Job.state == "running")
            changed(session, update(Job).where(*running).values(cancel_requested=True))
        return asked


def pause(db: Database, update_id: str) -> Update:
    """Ask an update to wait, and to keep nothing of the steps it made. Repeatable.

    Raises Conflict `already_finished`, `cancelling` or `stopping`.
    """
    with _held(db, update_id) as (session, asked):
        _refuse_if_cancelling(asked, "paused")
        if asked.requested == "stop":
            raise Conflict(
                f"Update {asked.number} is about to stop and to keep what it learned, so it "
                "cannot be paused.",
                "stopping",
            )
        if _move_job(session, asked, ("queued",), "paused"):
            unstart_update(session, asked.id, "paused")
            _note(session, asked, "Paused")
        elif asked.status != "paused" and asked.requested != "pause":
            asked.requested = "pause"
            _note(session, asked, "Paused")
        return asked


def resume(db: Database, update_id: str) -> Update:
    """Let a paused update run again, from its recorded inputs. Repeatable.

    Raises Conflict `already_finished` or `cancelling`.
    """
    with _held(db, update_id) as (session, asked):
        _refuse_if_cancelling(asked, "resumed")
        was_paused = asked.requested == "pause"
        if was_paused:
            asked.requested = None
        if _move_job(session, asked, ("paused",), "queued"):
            unstart_update(session, asked.id, "queued")
            was_paused = True
        if was_paused:
            _note(session, asked, "Resumed")
        return asked


def stop(db: Database, update_id: str) -> Update:
    """Ask an update to end now, with a version of what it has learned so far. Repeatable.

    Raises Conflict `already_finished`, `cancelling` or `nothing_learned`.
    """
    with _held(db, update_id) as (session, asked):
        _refuse_if_cancelling(asked, "kept")
        if asked.requested != "stop" and not asked.optimizer_steps:
            raise Conflict(
                f"Update {asked.number} has learned nothing yet that could be kept; wait for its "
                "first optimizer step, or cancel it.",
                "nothing_learned",
            )
        if asked.requested != "stop":
            _note(session, asked, "Stopped, keeping what it had learned:")
        asked.requested = "stop"
        return asked


def park(db: Database, job: Job) -> None:
    """The worker pauses its update, unless someone changed their mind. Raises LostLease."""
    with db.write() as session:
        jobs.hold(session, job)
        asked = found(session, Update, job.update_id or "", lock=True)
        wanted = asked.requested == "pause" and not asked.cancel_requested
        asked.requested = None
        jobs.put_back(session, job, "paused" if wanted else "queued")


@contextmanager
def _held(
    db: Database, update_id: str, ended_well: tuple[str, ...] = ()
) -> Iterator[tuple[Session, Update]]:
    """The update, locked; Conflict `already_finished` once it has ended."""
    with db.write() as session:
        # The job first, as the worker does: two that lock in opposite orders wait for ever.
        session.scalars(select(Job.id).where(Job.update_id == update_id).with_for_update()).all()
        asked = found(session, Update, update_id, lock=True)
        if asked.status not in (*ACTIVE, *ended_well):
            been = "been cancelled" if asked.status == "cancelled" else asked.status
            raise Conflict(f"Update {asked.number} has already {been}.", "already_finished")
        yield session, asked


def _refuse_if_cancelling(asked: Update, what: str) -> None:
    if asked.cancel_requested:
        raise Conflict(
            f"Someone cancelled update {asked.number}, so it cannot be {what}. Its groups and "
            "ratings come back; start another one when it has ended.",
            "cancelling",
        )


def _move_job(session: Session, asked: Update, states: tuple[str, ...], state: str) -> bool:
    """Put the update's job, if no worker has it, into another state; whether there was one."""
    idle = update(Job).where(Job.update_id == asked.id, Job.state.in_(states))
    ended = now() if state == "cancelled" else None
    return changed(session, idle.values(state=state, finished_at=ended)) > 0


def _note(session: Session, asked: Update, what: str) -> None:
    audit.note(session, "update", f"{what} update {asked.number}.", asked.project_id)
