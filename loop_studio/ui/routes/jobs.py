"""The queue of the studio: what runs, what waits, what failed; all projects share one worker."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from loop_studio.storage import job_queue, schema
from loop_studio.ui.failures import UpdateError, failure
from loop_studio.ui.wire import Answer, Db, Id, Nothing, Time

router = APIRouter(tags=["jobs"])


class Job(Answer):
    """A job of the queue."""

    id: str
    kind: str
    state: Literal["queued", "running", "paused", "failed"]
    project_id: str | None
    project: str | None
    update_id: str | None
    phase: str
    step: int
    steps: int
    error: UpdateError | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class JobList(Answer):
    """Jobs that run or wait, in the order in which they are done; and those that failed of late."""

    jobs: list[Job]
    failed: list[Job]


@router.get("/jobs")
def list_jobs(db: Db) -> JobList:
    """The queue, and what failed within a day, the newest first; up to 200 of each."""
    return JobList(
        jobs=[_answer(*listed) for listed in job_queue.listing(db)],
        failed=[_answer(*listed) for listed in job_queue.failed(db)],
    )


@router.post("/jobs/{id}/retry", status_code=202)
def retry_job(db: Db, id: Id, nothing: Nothing) -> Job:
    """Try a failed job again; of a failed update, another one is started."""
    return _answer(job_queue.retry(db, id), None)


def _answer(row: schema.Job, project: str | None) -> Job:
    values = {name: getattr(row, name) for name in Job.model_fields if hasattr(row, name)}
    error = failure(row.error_code, row.error_detail)
    return Job.model_validate({**values, "project": project, "error": error})
