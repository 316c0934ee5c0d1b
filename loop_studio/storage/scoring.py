"""Scores for groups that exist already: queued when a reward is added, newest groups first.

Scoring is a job; which rewards it asks stands in the settings revision that its payload names.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from loop_studio.storage.content import plainly_shown
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.schema import Group, Image, Job, Project, Score, now

KIND = "score"
_PRIORITY = -3  # everything else goes first


def queue(session: Session, project_id: str, revision_id: str) -> None:
    """Score the project's groups by a revision's rewards; what waited for an older one is off."""
    waiting = (Job.project_id == project_id, Job.kind == KIND, Job.state == "queued")
    stale = update(Job).where(*waiting, Job.priority == _PRIORITY)
    changed(session, stale.values(state="cancelled", finished_at=now()))
    payload = {"revision_id": revision_id}
    session.add(Job(kind=KIND, project_id=project_id, payload=payload, priority=_PRIORITY))


def latest(db: Database, project_id: str) -> Job | None:
    """The project's newest scoring, whatever became of it; None before the first."""
    with db.read() as session:
        found(session, Project, project_id)
        wanted = select(Job).where(
            Job.project_id == project_id,
            Job.kind == KIND,
            Job.priority == _PRIORITY,
            Job.state != "cancelled",
        )
        return session.scalars(wanted.order_by(Job.created_at.desc(), Job.id).limit(1)).first()


def lacking(db: Database, project_id: str, source: str, source_version: str) -> list[str]:
    """Ids of the groups with an image that this version of a source has not scored, newest first.

    Repeats and pairs teach nothing and are left out.
    """
    scored = (
        select(Score.image_id)
        .where(
            Score.image_id == Image.id,
            Score.source == source,
            Score.source_version == source_version,
        )
        .exists()
    )
    unscored = select(Image.id).where(Image.group_id == Group.id, ~scored).exists()
    wanted = select(Group.id).where(Group.project_id == project_id, Group.kind == "group", unscored)
    with db.read() as session:
        return list(session.scalars(wanted.order_by(Group.created_at.desc(), Group.id)))


def count(db: Database, project_id: str) -> int:
    """How many groups there are to score."""
    own = (Group.project_id == project_id, Group.kind == "group")
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(Group).where(*own)) or 0


def is_pressed(db: Database, job: Job) -> bool:
    """Whether a job waits that should not wait for this one."""
    pressing = (Job.state == "queued", Job.priority > job.priority)
    with db.read() as session:
        return session.scalars(select(Job.id).where(*pressing).limit(1)).first() is not None


def presentable(
    db: Database, project_id: str, limit: int, content: str
) -> list[tuple[Group, list[Image]]]:
    """The newest groups that were judged, learned from or retired, with their images.

    Others are kept from sight: scores seen first would sway who judges them. So are images that
    the project, by its setting `content`, blurs or does not show.
    """
    seen = or_(
        Group.judged_by > 0,
        Group.used_by_update_id.is_not(None),
        Group.retired_reason.is_not(None),
    )
    with db.read() as session:
        found(session, Project, project_id)
        shown = plainly_shown(content)
        wanted = select(Group).where(Group.project_id == project_id, Group.kind == "group", seen)
        newest = session.scalars(wanted.order_by(Group.created_at.desc(), Group.id).limit(limit))
        found_images = ((group, _images(session, group.id, shown)) for group in newest)
        return [(group, images) for group, images in found_images if images]


def _images(session: Session, group_id: str, shown: Sequence[ColumnElement[bool]]) -> list[Image]:
    wanted = select(Image).where(Image.group_id == group_id, *shown).order_by(Image.position)
    return list(session.scalars(wanted))
