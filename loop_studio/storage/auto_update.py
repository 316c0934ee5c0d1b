"""Queueing updates: on request, and by itself once enough usable groups wait."""

from __future__ import annotations

import secrets

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.storage import pairs
from loop_studio.storage.projects import Revision
from loop_studio.storage.refilling import UPDATE_PRIORITY
from loop_studio.storage.schema import ACTIVE, Group, Job, Project, Rating, Update


def active_update(session: Session, project_id: str) -> Update | None:
    """The one update that is queued or running, if any."""
    wanted = select(Update).where(Update.project_id == project_id, Update.status.in_(ACTIVE))
    return session.scalars(wanted).one_or_none()


def count_usable(session: Session, project_id: str) -> int:
    """Groups with a learning signal that no update has used."""
    usable = (
        Group.project_id == project_id,
        Group.usable,
        Group.used_by_update_id.is_(None),
    )
    return session.scalar(select(func.count()).select_from(Group).where(*usable)) or 0


def queue(session: Session, project: Project) -> Update:
    """The rows of a new update and of its job; the caller holds the project."""
    assert project.revision_id is not None
    last = select(func.max(Update.number)).where(Update.project_id == project.id)
    update = Update(
        project_id=project.id,
        number=(session.scalar(last) or 0) + 1,
        revision_id=project.revision_id,
        seed=secrets.randbelow(2**31),
    )
    session.add(update)
    session.flush()
    session.add(
        Job(
            kind="update",
            project_id=project.id,
            update_id=update.id,
            priority=UPDATE_PRIORITY,
        )
    )
    session.flush()
    return update


def start_if_due(session: Session, project: Project, revision: Revision) -> None:
    """Queue an update when as many usable groups wait as the settings ask for.

    After a failure, as many ratings again must have arrived first: an update that cannot work
    shall not be tried anew at every rating. While a candidate is compared with the live version
    none starts: it would begin at the old version again, and the candidate would be forgotten.
    """
    wanted = revision.config.auto_update_groups
    if wanted is None or revision.reward.automatic_only:
        return
    if count_usable(session, project.id) < wanted or active_update(session, project.id):
        return
    if revision.config.promotion == "pairs" and pairs.candidate(session, project):
        return
    last = session.scalars(
        select(Update).where(Update.project_id == project.id).order_by(Update.number.desc())
    ).first()
    if last is not None and last.status in {"failed", "cancelled"}:
        since = select(func.count()).where(
            Rating.project_id == project.id, Rating.created_at > last.finished_at
        )
        if (session.scalar(since) or 0) < wanted:
            return
    queue(session, project)
