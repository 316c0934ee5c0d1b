"""Exports: one file made by the worker on demand, kept for a week, fetched through a route.

An export is its job; what was asked for and what came of it stand in the job's payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, NotFound
from loop_studio.storage import jobs
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.files import StoredFile
from loop_studio.storage.references import KEPT
from loop_studio.storage.schema import ACTIVE, Job, Project, now
from loop_studio.storage.versions import file as version_file

Format = Literal["zip", "merged", "project"]
KIND = "export"
_PRIORITY = 2  # someone waits for it, as for samples


def create(db: Database, project_id: str, format: Format, version_id: str | None = None) -> Job:
    """Queue an export of a version, or of the whole project; one that waits already is given back.

    Raises NotFound for a version without a LoRA.
    """
    if version_id is not None:
        version_file(db, version_id, "diffusers")
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        for job in _alike(session, project.id, format, version_id):
            if job.state in ACTIVE and not job.cancel_requested:
                return job
        payload = {"format": format, "version_id": version_id}
        job = Job(kind=KIND, project_id=project.id, payload=payload, priority=_PRIORITY)
        session.add(job)
        return job


def get(db: Database, export_id: str) -> Job:
    """One export, or NotFound."""
    job = jobs.get(db, export_id)
    if job.kind != KIND:
        raise NotFound(f"There is no export {export_id}.")
    return job


def list(db: Database, project_id: str) -> Sequence[Job]:
    """Every export of a project, oldest first."""
    return jobs.of_kind(db, project_id, KIND)


def publish(db: Database, job: Job, file: StoredFile, name: str) -> None:
    """Name the finished file and end the job; earlier files of the same kind are let go.

    Raises LostLease.
    """
    with db.write() as session:
        jobs.end(session, job, "succeeded")
        format, version_id = job.payload["format"], job.payload["version_id"]
        for other in _alike(session, job.project_id or "", format, version_id):
            if other.id != job.id:
                other.payload = {k: v for k, v in other.payload.items() if k != "file"}
        told = {**job.payload, "file": asdict(file), "name": name}
        changed(session, update(Job).where(Job.id == job.id).values(payload=told))


def file(job: Job) -> StoredFile:
    """The file of a finished export; Conflict before it is finished, NotFound once it is gone."""
    if job.state in ACTIVE:
        raise Conflict("This export is still being made; wait until it is done.", "not_finished")
    kept = job.finished_at is not None and job.finished_at > now() - KEPT
    if "file" not in job.payload or not kept:
        raise NotFound("This export is no longer kept; make it again.", "file_gone")
    return StoredFile(**job.payload["file"])


def _alike(session: Session, project_id: str, format: str, version_id: str | None) -> Sequence[Job]:
    """Exports of the same thing in the same format."""
    wanted = select(Job).where(Job.project_id == project_id, Job.kind == KIND)
    return [
        job
        for job in session.scalars(wanted.order_by(Job.created_at))
        if (job.payload["format"], job.payload["version_id"]) == (format, version_id)
    ]
