"""Worker processes: who runs, on what, and since when nothing was heard."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database, found
from loop_studio.storage.schema import Worker, new_id, now

SILENT_AFTER_S = 30.0
SLOW_START_S = 180.0  # a cold disk may take minutes to import torch
_NEWEST_WEIGHT = 0.3  # of the newest rollout in the running mean


@dataclass(frozen=True)
class WorkerView:
    """The worker as people see it: none, starting, ready, busy or lost."""

    state: str
    device: str | None
    heartbeat_age_s: float | None
    last_words: str | None = None
    rollout_s: float | None = None


def register(db: Database, device: str, pid: int, worker_id: str | None = None) -> Worker:
    """A worker has started; it is `ready` from here on."""
    with db.write() as session:
        rollout_s = session.scalar(
            select(Worker.rollout_s)
            .where(Worker.device == device, Worker.rollout_s.is_not(None))
            .order_by(Worker.started_at.desc())
            .limit(1)
        )
        worker = session.get(Worker, worker_id or "") or Worker(id=worker_id or new_id())
        worker.device, worker.pid, worker.state, worker.rollout_s = device, pid, "ready", rollout_s
        worker.heartbeat_at = now()
        session.add(worker)
        return worker


def beat(db: Database, worker_id: str, state: str) -> None:
    """The worker is alive and `state`."""
    with db.write() as session:
        worker = found(session, Worker, worker_id)
        worker.state, worker.heartbeat_at = state, now()


def mark(db: Database, worker_id: str, state: str, last_words: str | None = None) -> None:
    """The worker ended: `stopped` on request or `lost`. One that never registered is kept too."""
    with db.write() as session:
        worker = session.get(Worker, worker_id) or Worker(id=worker_id, device="", pid=0)
        worker.state, worker.last_words = state, last_words
        session.add(worker)


def set_rollout_seconds(db: Database, worker_id: str, seconds: float) -> None:
    """How long a group took: a running mean, for the time until the next one."""
    with db.write() as session:
        worker = found(session, Worker, worker_id)
        before = worker.rollout_s
        worker.rollout_s = (
            seconds if before is None else before + _NEWEST_WEIGHT * (seconds - before)
        )


def current(db: Database) -> WorkerView:
    """The newest worker; one that has been silent for long is lost, whatever it said last."""
    with db.read() as session:
        return current_in(session)


def current_in(session: Session) -> WorkerView:
    """`current` within a transaction."""
    newest = select(Worker).order_by(Worker.started_at.desc(), Worker.id).limit(1)
    worker = session.scalars(newest).one_or_none()
    if worker is None or worker.state == "stopped":
        return WorkerView("none", None, None)
    age = max(0.0, (now() - worker.heartbeat_at).total_seconds())
    longest = SLOW_START_S if worker.state == "starting" else SILENT_AFTER_S
    return WorkerView(
        state="lost" if age > longest else worker.state,
        device=worker.device or None,
        heartbeat_age_s=age,
        last_words=worker.last_words,
        rollout_s=worker.rollout_s,
    )
