"""What a project is doing, and what stands between it and the next update."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.judgement import LEARNED
from loop_studio.storage import learned, reports, workers
from loop_studio.storage.auto_update import active_update, count_usable
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import Revision, revision_of
from loop_studio.storage.refilling import count_ready, count_rollouts, lacking_room, paused_reason
from loop_studio.storage.schema import Group, Job, Project, Rating, Version, now
from loop_studio.storage.workers import WorkerView

_SOON_S = 0.5  # a rollout that takes longer than the mean is about to end

_FULL = "Enough groups are ready."
_AWAY = "Nobody has rated here for 30 minutes; groups are made again at the next visit."
_NO_WORKER = "The worker is not running; start it with: python app.py worker"
_LOST = "The worker has stopped answering; its log says why."
_UNDER_WAY = {
    "queued": "An update is already queued.",
    "running": "An update is already running.",
    "paused": "An update is paused; resume it, or cancel it.",
}
_NOT_LEARNED = "The learned reward alone does not count yet; the Rewards page says what it needs."
_TOO_FEW = "{lacking} more usable {groups} needed: {usable} of {least} are there."


@dataclass(frozen=True)
class Status:
    """A project at this moment."""

    project_id: str
    live_version: int
    ready_groups: int
    generating_groups: int
    next_group_eta_s: float | None
    generation: str
    generation_reason: str
    ratings: int
    rated_groups: int
    usable_groups: int
    min_groups: int
    auto_update_groups: int | None
    active_update_id: str | None
    can_update: bool
    can_update_reason: str
    open_reports: int
    worker: WorkerView


def status(db: Database, project_id: str) -> Status:
    """A project at this moment, in one snapshot."""
    with db.read() as session:
        project = found(session, Project, project_id)
        revision = revision_of(session, project)
        config = revision.config
        ready = count_ready(session, project_id, config.overlap)
        generating = count_rollouts(session, project_id)
        worker = workers.current_in(session)
        usable = count_usable(session, project_id)
        running = active_update(session, project_id)
        cannot = (
            _UNDER_WAY[running.status]
            if running
            else too_few_reason(session, project_id, revision, usable)
        )
        generation, reason = _generation(session, project, revision, generating, worker)
        assert project.live_version_id is not None
        return Status(
            project_id=project_id,
            live_version=found(session, Version, project.live_version_id).number,
            ready_groups=ready,
            generating_groups=generating,
            next_group_eta_s=0.0 if ready else _eta(session, project_id, worker),
            generation=generation,
            generation_reason=reason,
            ratings=_count_ratings(session, project_id),
            rated_groups=_count_rated(session, project_id),
            usable_groups=usable,
            min_groups=config.min_groups,
            auto_update_groups=config.auto_update_groups,
            active_update_id=running.id if running else None,
            can_update=not cannot,
            can_update_reason=cannot,
            open_reports=reports.count_open(session, project_id),
            worker=worker,
        )


def ready_groups(db: Database, project_id: str) -> int:
    """How many groups could be served at once."""
    with db.read() as session:
        project = found(session, Project, project_id)
        overlap = revision_of(session, project).config.overlap
        return count_ready(session, project_id, overlap)


def too_few_reason(session: Session, project_id: str, revision: Revision, usable: int) -> str:
    """Why an update cannot start yet; empty if it can. Automatic rewards need no groups.

    Nor does a learned one that counts; alone, while it does not, it teaches nothing.
    """
    least, others = revision.config.min_groups, dict(revision.reward.models)
    if revision.reward.automatic_only and (told := lacking_room(session)):
        return told
    if learned.contributes(session, project_id, revision):
        return ""
    others.pop(LEARNED, None)
    if revision.reward.automatic_only:
        return "" if any(others.values()) else _NOT_LEARNED
    if usable >= least:
        return ""
    groups = "group is" if least - usable == 1 else "groups are"
    return _TOO_FEW.format(lacking=least - usable, groups=groups, usable=usable, least=least)


def _generation(
    session: Session, project: Project, revision: Revision, generating: int, worker: WorkerView
) -> tuple[str, str]:
    if reason := paused_reason(session, project, revision):
        return "paused", reason
    if worker.state == "lost":
        return "paused", _LOST
    if worker.state == "none":
        return "paused", _NO_WORKER
    if generating:
        return "running", ""
    active = project.active_until is not None and project.active_until > now()
    return "idle", _FULL if active else _AWAY


def _eta(session: Session, project_id: str, worker: WorkerView) -> float | None:
    pending = (
        Job.project_id == project_id,
        Job.kind == "rollout",
        Job.state.in_(("queued", "running")),
    )
    first = select(Job).where(*pending).order_by(Job.state.desc(), Job.created_at).limit(1)
    job = session.scalars(first).one_or_none()
    if job is None or worker.rollout_s is None or worker.state not in {"ready", "busy"}:
        return None
    started = job.started_at if job.state == "running" else None
    elapsed = (now() - started).total_seconds() if started is not None else 0.0
    return max(_SOON_S, worker.rollout_s - elapsed)


def _count_ratings(session: Session, project_id: str) -> int:
    active = (Rating.project_id == project_id, Rating.status == "active")
    return session.scalar(select(func.count()).select_from(Rating).where(*active)) or 0


def _count_rated(session: Session, project_id: str) -> int:
    rated = (Group.project_id == project_id, Group.judged_by > 0, Group.kind == "group")
    return session.scalar(select(func.count()).select_from(Group).where(*rated)) or 0
