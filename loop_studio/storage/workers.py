"""Worker processes: who runs, on what, and since when nothing was heard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database, found
from loop_studio.storage.schema import Worker, new_id, now

SILENT_AFTER_S = 30.0
DEAF_AFTER_S = 60.0  # an accelerator that has computed nothing for so long is not to be had
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
    accelerator_age_s: float | None = None  # since the accelerator was last seen to work
    memory_bytes: int | None = None
    accelerator_bytes: int | None = None

    @property
    def can_train(self) -> bool:
        """Whether it runs, and its accelerator has answered lately."""
        age = self.accelerator_age_s
        return self.state in {"ready", "busy"} and age is not None and age <= DEAF_AFTER_S


def register(db: Database, device: str, pid: int, worker_id: str | None = None) -> Worker:
    """A worker has started; it is `ready` from here on."""
    with db.write() as session:
        rollout_s = session.scalar(
            select(Worker.rollout_s)
            .where(Worker.device == device, Worker.rollout_s.is_not(None))
            .order_by(Worker.started_at.desc())
            .limit(1)
        )
        worker = _row(session, worker_id or new_id())
        worker.device, worker.pid, worker.state, worker.rollout_s = device, pid, "ready", rollout_s
        worker.heartbeat_at = now()
        session.add(worker)
        return worker


def beat(
    db: Database,
    worker_id: str,
    state: str,
    computed_at: datetime | None = None,
    memory: tuple[int, int | None] = (0, None),
) -> None:
    """The worker is alive and `state`; its accelerator was last seen to work at `computed_at`.

    `memory` is bytes of its process and of its accelerator.
    """
    with db.write() as session:
        worker = found(session, Worker, worker_id)
        worker.state, worker.heartbeat_at = state, now()
        worker.computed_at = computed_at or worker.computed_at
        worker.memory_bytes, worker.accelerator_bytes = memory


def mark(db: Database, worker_id: str, state: str, last_words: str | None = None) -> None:
    """The worker ended: `stopped` on request or `lost`. One that never registered is kept too."""
    with db.write() as session:
        worker = _row(session, worker_id)
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
    age = _age_s(worker.heartbeat_at) or 0.0
    longest = SLOW_START_S if worker.state == "starting" else SILENT_AFTER_S
    return WorkerView(
        state="lost" if age > longest else worker.state,
        device=worker.device or None,
        heartbeat_age_s=age,
        last_words=worker.last_words,
        rollout_s=worker.rollout_s,
        accelerator_age_s=_age_s(worker.computed_at),
        memory_bytes=worker.memory_bytes,
        accelerator_bytes=worker.accelerator_bytes,
    )


def _age_s(moment: datetime | None) -> float | None:
    return None if moment is None else max(0.0, (now() - moment).total_seconds())


def _row(session: Session, worker_id: str) -> Worker:
    """The worker's row; a new one is the newest, also where the clock was set back meanwhile."""
    known = session.get(Worker, worker_id)
    if known is not None:
        return known
    started, last = now(), session.scalar(select(func.max(Worker.started_at)))
    if last is not None:
        started = max(started, last + timedelta(microseconds=1))
    return Worker(id=worker_id, device="", pid=0, started_at=started)
