"""Queueing updates: on request, and by itself once enough usable groups wait."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict
from loop_studio.storage import audit, guard, pairs
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import Revision, revision_of
from loop_studio.storage.refilling import UPDATE_PRIORITY
from loop_studio.storage.schema import ACTIVE, Group, Job, Project, Rating, Update, now

_UNTIL = dict.fromkeys(ACTIVE, "wait for it, or cancel it") | {"paused": "resume it, or cancel it"}


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


def refuse_second(session: Session, project_id: str) -> None:
    """Raise Conflict `update_active` while an update is queued or running."""
    running = active_update(session, project_id)
    if running is not None:
        raise Conflict(
            f"Update {running.number} is {running.status}; {_UNTIL[running.status]}.",
            "update_active",
            update_id=running.id,
        )


def queue(session: Session, project: Project, **columns: Any) -> Update:
    """The rows of a new update and of its job; the caller holds the project.

    `columns` take the place of the project's present settings and of a fresh seed.
    """
    last = select(func.max(Update.number)).where(Update.project_id == project.id)
    fresh = {"revision_id": project.revision_id, "seed": secrets.randbelow(2**31)}
    number = (session.scalar(last) or 0) + 1
    update = Update(project_id=project.id, number=number, **{**fresh, **columns})
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


def start_after_quiet(db: Database) -> None:
    """Queue what `start_if_due` put off in quiet hours that have ended."""
    with db.read() as session:
        listed = session.scalars(select(Project).where(Project.archived.is_(False))).all()
        put_off = [one.id for one in listed if revision_of(session, one).config.quiet_from]
    for project_id in put_off:
        with db.write() as session:
            project = found(session, Project, project_id, lock=True)
            start_if_due(session, project, revision_of(session, project))


def start_if_due(session: Session, project: Project, revision: Revision) -> None:
    """Queue an update when as many usable groups wait as the settings ask for.

    After a failure, as many ratings again must have arrived first: an update that cannot work
    shall not be tried anew at every rating. Within quiet hours none starts. While a candidate is
    compared with the live version none starts either: it would begin at the old version again, and
    the candidate would be forgotten. Nor does one while the guard keeps a version back: the next
    would go where that one went.
    """
    wanted = revision.config.auto_update_groups
    if wanted is None or revision.reward.automatic_only or revision.config.is_quiet(now()):
        return
    if count_usable(session, project.id) < wanted or active_update(session, project.id):
        return
    compared = revision.config.promotion == "pairs" and pairs.candidate(session, project)
    if compared or guard.holds(session, project):
        return
    own = (Update.project_id == project.id, Update.retraining_id.is_(None))
    last = session.scalars(select(Update).where(*own).order_by(Update.number.desc())).first()
    if last is not None and last.status in {"failed", "cancelled"}:
        since = select(func.count()).where(
            Rating.project_id == project.id, Rating.created_at > last.finished_at
        )
        if (session.scalar(since) or 0) < wanted:
            return
    started = queue(session, project)
    with audit.acting(audit.STUDIO):
        audit.note(session, "update", f"Started update {started.number}.", project.id)
