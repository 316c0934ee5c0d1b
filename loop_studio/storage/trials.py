"""Trials: pictures scored by several rewards side by side, for looking. Nothing is learned of it.

A trial is its job; the pictures, the rewards and what they said stand in the job's payload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from loop_studio.errors import NotFound
from loop_studio.storage import jobs
from loop_studio.storage.content import plainly_shown
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.projects import revision_of
from loop_studio.storage.schema import Group, Image, Job, Project
from loop_studio.storage.scoring import KIND

LARGEST = 20 * 2**20  # bytes
TOO_LARGE = "The picture is larger than 20 MiB; send a smaller one."
PRIORITY = 3  # someone looks at the page and waits


@dataclass(frozen=True)
class TrialImage:
    """A picture to score; `image_id` where it is one of the project's own."""

    key: str
    prompt: str
    image_id: str | None = None


def create(
    db: Database,
    project_id: str,
    images: Sequence[TrialImage],
    models: Mapping[str, Mapping[str, str]],
) -> Job:
    """Queue a trial of these pictures by `models`, with their parameters."""
    payload = {
        "images": [asdict(image) for image in images],
        "models": {name: dict(values) for name, values in models.items()},
        "results": {},
    }
    with db.write() as session:
        found(session, Project, project_id)
        job = Job(kind=KIND, project_id=project_id, payload=payload, priority=PRIORITY)
        session.add(job)
        return job


def images_of(db: Database, project_id: str, group_id: str) -> list[TrialImage]:
    """A group's pictures that the project neither blurs nor withholds; NotFound without them."""
    with db.read() as session:
        group = found(session, Group, group_id)
        if group.project_id != project_id:
            raise NotFound(f"There is no group {group_id} in this project.")
        rule = revision_of(session, found(session, Project, project_id)).config.content
        shown = (Image.group_id == group_id, *plainly_shown(rule))
        wanted = select(Image).where(*shown).order_by(Image.position)
        images = session.scalars(wanted).all()
        if not images:
            raise NotFound("This project shows no picture of that group.")
        return [TrialImage(image.key, image.prompt, image.id) for image in images]


def get(db: Database, trial_id: str) -> Job:
    """One trial, or NotFound."""
    job = jobs.get(db, trial_id)
    if job.kind != KIND or "images" not in job.payload:
        raise NotFound(f"There is no trial {trial_id}.")
    return job


def record(db: Database, job: Job, name: str, result: Mapping[str, Any]) -> None:
    """What one reward said. Raises LostLease."""
    with db.write() as session:
        jobs.hold(session, job)
        _put(session, job.id, name, result)


def _put(session: Session, job_id: str, name: str, result: Mapping[str, Any]) -> None:
    payload = found(session, Job, job_id).payload
    told = {**payload, "results": {**payload["results"], name: dict(result)}}
    changed(session, update(Job).where(Job.id == job_id).values(payload=told))
