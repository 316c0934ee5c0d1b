"""The queue as people see it: what runs, what waits and in which order, what failed of late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Select, case, exists, select
from sqlalchemy.orm import Session, aliased

from loop_studio.errors import Conflict
from loop_studio.storage import updates
from loop_studio.storage.database import Database, found
from loop_studio.storage.schema import Job, Project, Samples, now

LISTED = 200
_FAILED_FOR = timedelta(days=1)
_ORDER = case((Job.state == "running", 0), (Job.state == "queued", 1), (Job.state == "paused", 2))

Listed = tuple[Job, str | None]  # with the name of its project


def listing(db: Database) -> Sequence[Listed]:
    """Running jobs, then waiting ones in the order in which they are claimed, then paused ones."""
    with db.read() as session:
        under_way = _with_project().where(Job.state.in_(("running", "queued", "paused")))
        in_order = under_way.order_by(_ORDER, Job.priority.desc(), Job.created_at, Job.id)
        return _listed(session, in_order)


def failed(db: Database) -> Sequence[Listed]:
    """Jobs that failed within a day, the newest first; no update that another one followed."""
    with db.read() as session:
        lately = (Job.state == "failed", Job.finished_at > now() - _FAILED_FOR)
        later = aliased(Job)
        tried_again = exists().where(
            later.kind == "update",
            later.project_id == Job.project_id,
            later.created_at > Job.created_at,
            Job.kind == "update",
        )
        newest = (
            _with_project()
            .where(*lately, ~tried_again)
            .order_by(Job.finished_at.desc())
            .limit(LISTED)
        )
        return _listed(session, newest)


def retry(db: Database, job_id: str) -> Job:
    """Put a failed job back into the queue; of a failed update, start another one.

    Raises Conflict `not_failed`, or what refuses an update.
    """
    with db.write() as session:
        job = found(session, Job, job_id, lock=True)
        if job.state != "failed":
            raise Conflict(
                f"The job is {job.state}; only a failed one can be tried again.", "not_failed"
            )
        if job.update_id is not None and job.project_id is not None:
            project = found(session, Project, job.project_id, lock=True)
            started = updates.create_in(session, project)
            return session.scalars(select(Job).where(Job.update_id == started.id)).one()
        job.state, job.attempt, job.cancel_requested = "queued", 0, False
        job.error_code = job.error_detail = job.error_log = job.finished_at = None
        if job.kind == "samples":
            found(session, Samples, job.payload["samples_id"]).status = "queued"
        return job


def _listed(session: Session, wanted: Select[Job, str]) -> Sequence[Listed]:
    return [(job, name) for job, name in session.execute(wanted.limit(LISTED))]


def _with_project() -> Select[Job, str]:
    return select(Job, Project.name).outerjoin(Project, Project.id == Job.project_id)
