"""The queue: a table of jobs, claimed in one statement, held by a lease, written under a fence.

    queued --claim--> running --finish--> succeeded | failed | cancelled
      ^                  |
      '----- requeue ----'   a lapsed lease makes a running job claimable again
                             `paused` (updates alone) waits outside of the queue

Every write of a worker is fenced by (id, worker, attempt): a worker that lost its lease to another
one meets `LostLease` and stops. A lapsed lease that nobody claimed is taken up again by its
holder's next heartbeat: a sleeping laptop is not a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Update as UpdateStatement
from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from loop_studio.errors import NotFound
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.refilling import refill as refill
from loop_studio.storage.schema import Job, Project, Samples, now
from loop_studio.storage.settling import settle_samples, settle_update, unstart_update

LEASE = timedelta(seconds=30)
ENDED = ("succeeded", "failed", "cancelled")

_WORKER_LOST = (
    "The worker stopped in the middle of this job {attempts} times, so it was given up; "
    "the log of the worker says why. Nothing was lost: start it again."
)


class LostLease(Exception):
    """Another worker holds this job now, or it has ended: stop, and write nothing more."""


def enqueue(
    db: Database,
    kind: str,
    project_id: str | None = None,
    payload: dict[str, Any] | None = None,
    priority: int = 0,
    dedupe_key: str | None = None,
    update_id: str | None = None,
) -> Job:
    """Put a job in the queue. A `dedupe_key` counts once for ever: again, it gives the same job."""
    job = Job(
        kind=kind,
        project_id=project_id,
        payload=payload or {},
        priority=priority,
        dedupe_key=dedupe_key,
        update_id=update_id,
    )
    try:
        with db.write() as session:
            known = _with_key(session, dedupe_key)
            if known is None:
                session.add(job)
            return known or job
    except IntegrityError:
        with db.read() as session:
            known = _with_key(session, dedupe_key)
        if known is None:
            raise
        return known


def get(db: Database, job_id: str) -> Job:
    """A job as it stands."""
    with db.read() as session:
        job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def of_kind(db: Database, project_id: str, kind: str) -> Sequence[Job]:
    """A project's jobs of one kind, oldest first."""
    with db.read() as session:
        found(session, Project, project_id)
        wanted = select(Job).where(Job.project_id == project_id, Job.kind == kind)
        return session.scalars(wanted.order_by(Job.created_at, Job.id)).all()


def claim(
    db: Database,
    worker_id: str,
    kinds: Sequence[str] | None = None,
    project_id: str | None = None,
) -> Job | None:
    """The most urgent waiting job, now running under a lease of this worker; None if none waits."""
    with db.write() as session:
        _close_lapsed(session)
        statement = claim_statement(worker_id, now(), kinds, project_id)
        job = session.scalars(
            statement, execution_options={"synchronize_session": False}
        ).one_or_none()
        if job is not None and job.kind == "samples":
            mark = update(Samples).where(Samples.id == job.payload.get("samples_id"))
            changed(session, mark.values(status="running"))
        return job


def claim_statement(
    worker_id: str,
    moment: datetime,
    kinds: Sequence[str] | None,
    project_id: str | None,
) -> ReturningUpdate[Job]:
    """One UPDATE that takes the most urgent job; select-then-update would hand some out twice."""
    wanted = [or_(Job.state == "queued", _lapsed(moment))]
    if kinds is not None:
        wanted.append(Job.kind.in_(kinds))
    if project_id is not None:
        wanted.append(Job.project_id == project_id)
    first = (
        select(Job.id)
        .where(*wanted)
        .order_by(Job.priority.desc(), Job.created_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    return (
        update(Job)
        .where(Job.id == first)
        .values(
            state="running",
            worker_id=worker_id,
            attempt=Job.attempt + 1,
            lease_until=moment + LEASE,
            started_at=func.coalesce(Job.started_at, moment),
        )
        .returning(Job)
    )


def heartbeat(db: Database, job_ids: Sequence[str], worker_id: str) -> None:
    """Renew the leases that this worker still holds, lapsed ones that nobody took included."""
    if not job_ids:
        return
    with db.write() as session:
        held = and_(Job.id.in_(job_ids), Job.worker_id == worker_id, Job.state == "running")
        changed(session, update(Job).where(held).values(lease_until=now() + LEASE))


def progress(db: Database, job: Job, phase: str, step: int, steps: int) -> None:
    """Where the job is; renews its lease. Raises LostLease."""
    with db.write() as session:
        report(session, job, phase, step, steps)


def report(session: Session, job: Job, phase: str, step: int, steps: int) -> None:
    """`progress` within a transaction."""
    moment = now()
    _fenced_change(
        session,
        job,
        update(Job).values(
            phase=phase, step=step, steps=steps, progress_at=moment, lease_until=moment + LEASE
        ),
    )


def cancel_requested(db: Database, job: Job) -> bool:
    """Whether someone asked for an end; the worker stops at the next step."""
    with db.read() as session:
        asked = session.scalar(select(Job.cancel_requested).where(Job.id == job.id))
    return bool(asked)


def finish(
    db: Database,
    job: Job,
    state: str,
    error_code: str | None = None,
    error_detail: str | None = None,
    error_log: str | None = None,
) -> None:
    """End the job, and with it the update or the samples that it stood for. Raises LostLease."""
    error = {"error_code": error_code, "error_detail": error_detail, "error_log": error_log}
    with db.write() as session:
        _fenced_change(session, job, update(Job).values(error))
        end(session, job, state)
        _settle(session, job, state, error_code, error_detail)


def end(session: Session, job: Job, state: str) -> None:
    """End the job row alone, within a transaction. Raises LostLease."""
    ended = {"state": state, "lease_until": None, "finished_at": now()}
    _fenced_change(session, job, update(Job).values(ended))


def hold(session: Session, job: Job) -> None:
    """Raise LostLease unless the job is still this worker's; locks it until the commit."""
    _fenced_change(session, job, update(Job).values(lease_until=now() + LEASE))


def requeue(db: Database, job: Job) -> None:
    """Give a running job back, attempt included: the worker stops in an orderly way."""
    with db.write() as session:
        put_back(session, job, "queued")


def put_back(session: Session, job: Job, state: str) -> None:
    """A running job waits again, `queued` or `paused`, and its update with it."""
    back = update(Job).values(
        state=state, worker_id=None, lease_until=None, attempt=Job.attempt - 1
    )
    _fenced_change(session, job, back)
    if job.update_id is not None:
        unstart_update(session, job.update_id, state)


def expire_leases(db: Database, worker_id: str | None = None) -> None:
    """This worker is known to be dead, or every one there ever was: others take up its jobs."""
    with db.write() as session:
        past = now() - timedelta(seconds=1)
        lapse = update(Job).where(Job.state == "running").values(lease_until=past)
        changed(session, lapse if worker_id is None else lapse.where(Job.worker_id == worker_id))


def sweep(db: Database) -> None:
    """Close jobs that lapsed for the last time, and the updates and samples they stood for."""
    with db.write() as session:
        _close_lapsed(session)


def finished_count(db: Database) -> int:
    """How many jobs have ended well: a worker that starts and dies adds none."""
    with db.read() as session:
        return session.scalar(select(func.count()).where(Job.state == "succeeded")) or 0


def _with_key(session: Session, dedupe_key: str | None) -> Job | None:
    if dedupe_key is None:
        return None
    return session.scalars(select(Job).where(Job.dedupe_key == dedupe_key)).one_or_none()


def _lapsed(moment: datetime) -> Any:
    return and_(Job.state == "running", Job.lease_until < moment)


def _fenced_change(session: Session, job: Job, statement: UpdateStatement) -> None:
    held = and_(
        Job.id == job.id,
        Job.worker_id == job.worker_id,
        Job.attempt == job.attempt,
        Job.state == "running",
    )
    if changed(session, statement.where(held)) == 0:
        raise LostLease(f"job {job.id} is no longer held by worker {job.worker_id}")


def _close_lapsed(session: Session) -> None:
    given_up = or_(Job.attempt >= Job.max_attempts, Job.cancel_requested)
    lapsed = select(Job).where(_lapsed(now()), given_up).with_for_update(skip_locked=True)
    for job in session.scalars(lapsed):
        cancelled = job.cancel_requested
        job.state = "cancelled" if cancelled else "failed"
        job.error_code = "cancelled" if cancelled else "worker_lost"
        job.error_detail = (
            "Cancelled on request." if cancelled else _WORKER_LOST.format(attempts=job.attempt)
        )
        job.finished_at, job.lease_until = now(), None
        _settle(session, job, job.state, job.error_code, job.error_detail)


def _settle(session: Session, job: Job, state: str, code: str | None, detail: str | None) -> None:
    if job.update_id is not None and state != "succeeded":
        settle_update(session, job.update_id, state, code, detail)
    if job.kind == "samples":
        settle_samples(session, job.payload.get("samples_id"), state)
