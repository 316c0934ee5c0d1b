"""Imports of whole projects: an archive, kept until the worker has made a project of it.

An import is its job; what was sent and what came of it stand in the job's payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import or_, select

from loop_studio.errors import Conflict, NotFound
from loop_studio.storage import audit, jobs
from loop_studio.storage.database import Database
from loop_studio.storage.files import StoredFile
from loop_studio.storage.schema import ACTIVE, Job, now

KIND = "import_project"
LARGEST = 2**40  # bytes; the disk says no before
TOO_LARGE = "The archive is larger than 1 TiB."
_PRIORITY = 2  # someone waits for it, as for samples
_RECENT = timedelta(days=1)


def create(db: Database, upload: StoredFile, name: str) -> Job:
    """Queue the import of a stored archive; Conflict `import_active` while another one waits."""
    with db.write() as session:
        waiting = select(Job.id).where(Job.kind == KIND, Job.state.in_(ACTIVE))
        if session.scalars(waiting).first() is not None:
            raise Conflict(
                "Another project is being imported; wait until it is done.", "import_active"
            )
        job = Job(kind=KIND, payload={**asdict(upload), "name": name}, priority=_PRIORITY)
        session.add(job)
        audit.note(session, "import", f"Began to import the project {name}.")
        return job


def get(db: Database, import_id: str) -> Job:
    """One import of a project, or NotFound."""
    job = jobs.get(db, import_id)
    if job.kind != KIND:
        raise NotFound(f"There is no import of a project {import_id}.")
    return job


def recent(db: Database) -> Sequence[Job]:
    """The imports of the last day and those that wait, oldest first."""
    with db.read() as session:
        wanted = select(Job).where(
            Job.kind == KIND, or_(Job.state.in_(ACTIVE), Job.created_at > now() - _RECENT)
        )
        return session.scalars(wanted.order_by(Job.created_at, Job.id)).all()
