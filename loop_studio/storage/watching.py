"""The whole studio at this moment, in figures: for the status page and for a metrics scraper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.storage import reports, workers
from loop_studio.storage.database import Database
from loop_studio.storage.projects import revision_of
from loop_studio.storage.refilling import count_ready, lacking_room
from loop_studio.storage.schema import JOB_KINDS, STATES, Job, Project, Rating, Update, now
from loop_studio.storage.workers import WorkerView

_LATELY = timedelta(days=1)


@dataclass(frozen=True)
class Queue:
    """The jobs of one kind that are not at their end."""

    kind: str
    queued: int
    running: int
    oldest_s: float  # since the oldest queued one was asked for; 0 without one


@dataclass(frozen=True)
class ProjectState:
    """A project that is not archived."""

    id: str
    name: str
    is_active: bool  # someone rated in it lately
    ready_groups: int
    trouble: str  # why no group is made for it, though one should be
    open_reports: int


@dataclass(frozen=True)
class Snapshot:
    """What the database knows of the studio."""

    worker: WorkerView
    queues: Sequence[Queue]
    projects: Sequence[ProjectState]
    ratings: int  # ever stored
    updates: dict[str, int]  # by status
    update_s: Sequence[float]  # how long each took that succeeded
    failed_lately: int  # updates that failed within a day
    no_room: str  # why nothing is made for want of room on the disk; empty while there is room


def snapshot(db: Database) -> Snapshot:
    """The studio at this moment, in one transaction."""
    with db.read() as session:
        active = select(Project).where(Project.archived.is_(False)).order_by(Project.created_at)
        statuses = select(Update.status, func.count()).group_by(Update.status)
        known: dict[str, int] = dict(session.execute(statuses).all())
        return Snapshot(
            worker=workers.current_in(session),
            queues=_queues(session),
            projects=[_project(session, project) for project in session.scalars(active)],
            # Rows are never deleted but with their project: the newest number counts them all.
            ratings=session.scalar(select(func.max(Rating.sequence))) or 0,
            updates={status: known.get(status, 0) for status in STATES},
            update_s=_durations(session),
            failed_lately=_failed_lately(session),
            no_room=lacking_room(session),
        )


def _queues(session: Session) -> list[Queue]:
    per_kind = (
        select(Job.kind, Job.state, func.count(), func.min(Job.created_at))
        .where(Job.state.in_(("queued", "running")))
        .group_by(Job.kind, Job.state)
    )
    counts: dict[tuple[str, str], tuple[int, datetime]] = {
        (kind, state): (count, oldest) for kind, state, count, oldest in session.execute(per_kind)
    }
    queues = []
    for kind in JOB_KINDS:
        queued, oldest = counts.get((kind, "queued"), (0, now()))
        running, _ = counts.get((kind, "running"), (0, now()))
        age_s = max(0.0, (now() - oldest).total_seconds())
        queues.append(Queue(kind, queued, running, age_s))
    return queues


def _project(session: Session, project: Project) -> ProjectState:
    revision = revision_of(session, project)
    return ProjectState(
        id=project.id,
        name=project.name,
        is_active=project.active_until is not None and project.active_until > now(),
        ready_groups=count_ready(session, project.id, revision.config.overlap),
        trouble=project.generation_error or "",
        open_reports=reports.count_open(session, project.id),
    )


def _durations(session: Session) -> list[float]:
    ended = (Update.status == "succeeded", Update.started_at.is_not(None))
    wanted = select(Update.started_at, Update.finished_at).where(*ended)
    return [
        max(0.0, (finished - started).total_seconds())
        for started, finished in session.execute(wanted)
        if started is not None and finished is not None
    ]


def _failed_lately(session: Session) -> int:
    failed = (Update.status == "failed", Update.finished_at > now() - _LATELY)
    return session.scalar(select(func.count()).select_from(Update).where(*failed)) or 0
