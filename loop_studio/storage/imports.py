"""Imports: a LoRA file from elsewhere, kept until the worker has made a version of it.

An import is its job; what was sent and what came of it stand in the job's payload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import select, update

from loop_studio.errors import Conflict, NotFound
from loop_studio.storage import audit, jobs, samples
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.files import StoredFile
from loop_studio.storage.publishing import add_version
from loop_studio.storage.schema import ACTIVE, Job, Project, Version

LARGEST = 2**30  # bytes
TOO_LARGE = "The file is larger than 1 GiB; resize the LoRA to a lower rank first."
KIND = "import_lora"
_PRIORITY = 2  # someone waits for it, as for samples


def create(db: Database, project_id: str, upload: StoredFile, name: str) -> Job:
    """Queue the import of a stored file; Conflict `import_active` while another one waits."""
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        waiting = select(Job.id).where(
            Job.project_id == project.id, Job.kind == KIND, Job.state.in_(ACTIVE)
        )
        if session.scalars(waiting).first() is not None:
            raise Conflict(
                "Another LoRA is being imported; wait until it is done.", "import_active"
            )
        payload = {**asdict(upload), "name": name}
        job = Job(kind=KIND, project_id=project.id, payload=payload, priority=_PRIORITY)
        session.add(job)
        audit.note(session, "import", f"Began to import the LoRA {name}.", project.id)
        return job


def get(db: Database, import_id: str) -> Job:
    """One import, or NotFound."""
    job = jobs.get(db, import_id)
    if job.kind != KIND:
        raise NotFound(f"There is no import {import_id}.")
    return job


def list(db: Database, project_id: str) -> Sequence[Job]:
    """Every import of a project, oldest first."""
    return jobs.of_kind(db, project_id, KIND)


def publish(db: Database, job: Job, files: Mapping[str, StoredFile]) -> Version:
    """Make the version, grown from version 0 and not live, and end the job.

    Its probe wall is queued. Raises LostLease.
    """
    with db.write() as session:
        jobs.end(session, job, "succeeded")
        project = found(session, Project, job.project_id or "", lock=True)
        base = select(Version.id).where(Version.project_id == project.id, Version.number == 0)
        version = add_version(
            session, project.id, session.scalar(base), files, name=job.payload["name"]
        )
        told = {**job.payload, "version_id": version.id, "version": version.number}
        changed(session, update(Job).where(Job.id == job.id).values(payload=told))
        samples.create_probe(session, version)
        return version
