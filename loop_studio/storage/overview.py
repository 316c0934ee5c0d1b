"""All projects at a glance: what each is worth, how large it is, and a few of its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.storage import project_rows, reports
from loop_studio.storage.content import plainly_shown
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import revision_of
from loop_studio.storage.schema import Group, Image, Project, Rating, Samples, Version

_PICTURES = 4


@dataclass(frozen=True)
class Glance:
    """One project in figures."""

    id: str
    name: str
    model: str
    archived: bool
    ratings: int
    raters: int
    versions: int  # beside version 0
    live_version: int
    size: int  # bytes of its files
    images: list[str]  # ids; of a project that blurs only those that are not sensitive
    reports: int  # that wait for a decision
    created_at: datetime
    rated_at: datetime | None


def glance(db: Database, project_id: str) -> Glance:
    """One project, or NotFound."""
    with db.read() as session:
        return _glance(session, found(session, Project, project_id))


def all(db: Database, projects: Sequence[Project]) -> list[Glance]:
    """These projects, in their order; one that is gone meanwhile is left out."""
    with db.read() as session:
        known = [session.get(Project, project.id) for project in projects]
        return [_glance(session, project) for project in known if project is not None]


def _glance(session: Session, project: Project) -> Glance:
    active = select(
        func.count(), func.count(Rating.rater_id.distinct()), func.max(Rating.created_at)
    ).where(Rating.project_id == project.id, Rating.status == "active")
    ratings, raters, rated_at = session.execute(active).one()
    trained = select(func.count()).where(Version.project_id == project.id, Version.number > 0)
    return Glance(
        id=project.id,
        name=project.name,
        model=project.model,
        archived=project.archived,
        ratings=ratings,
        raters=raters,
        versions=session.scalar(trained) or 0,
        live_version=found(session, Version, project.live_version_id or "").number,
        size=project_rows.size(session, project.id),
        images=_pictures(session, project),
        reports=reports.count_open(session, project.id),
        created_at=project.created_at,
        rated_at=rated_at,
    )


def _pictures(session: Session, project: Project) -> list[str]:
    """Of the newest wall of probe pictures, else of the last group that somebody judged."""
    shown = plainly_shown(revision_of(session, project).config.content)
    newest = select(Image.id).where(*shown).limit(_PICTURES)
    probes = newest.join(Samples, Samples.id == Image.samples_id).where(
        Samples.project_id == project.id, Samples.kind == "probe"
    )
    order = (Samples.created_at.desc(), Image.position)
    if on_wall := session.scalars(probes.order_by(*order)).all():
        return list(on_wall)
    judged = newest.join(Group, Group.id == Image.group_id).where(
        Group.project_id == project.id, Group.judged_by > 0
    )
    order_of_groups = (Group.created_at.desc(), Group.id, Image.position)
    return list(session.scalars(judged.order_by(*order_of_groups)))
