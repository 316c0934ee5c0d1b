"""What of a project's pictures people may see, and what follows for learning.

A picture that is withheld counts as not judged; a group with fewer than two others is set aside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from loop_studio.content import is_blurred, withheld
from loop_studio.storage.database import Database, batched, changed
from loop_studio.storage.schema import Group, Image, Job, Project, Rating, Samples
from loop_studio.storage.worth import out_of_sight, put_rewards, refresh

LEAST_SHOWN = 2
SET_ASIDE = "Fewer than two of its pictures may be shown."
KIND = "score"  # of the job that checks stored pictures; its payload says so
CHECK = {"content": True}
_PRIORITY = 9  # raters may wait for it, but those who wait for a group go first
_BY_SETTING = ("unchecked", "sensitive")

Outdated = Callable[[str], str | None]  # why groups of a settings revision may not be served


def plainly_shown(content: str) -> list[ColumnElement[bool]]:
    """Images that are neither withheld nor blurred under a project's setting."""
    unblurred = [] if not is_blurred(content, None) else [Image.sensitive.is_(False)]
    return [Image.withheld.is_(None), *unblurred]


def follow(session: Session, project: Project, content: str, outdated: Outdated) -> None:
    """The setting is `content` from here on: withhold what it blocks, show what it no longer does.

    Pictures that no checker has seen are checked by a job.
    """
    session.flush()
    affected: set[str] = set()
    for verdict in (None, True, False):
        wanted = withheld(content, verdict)
        others = (
            _of_project(project.id),
            Image.sensitive.is_(verdict),
            or_(Image.withheld.is_(None), Image.withheld.in_(_BY_SETTING)),
            Image.withheld.is_distinct_from(wanted),
        )
        ids = session.scalars(select(Image.group_id).where(*others).distinct())
        affected.update(group_id for group_id in ids if group_id is not None)
        changed(session, update(Image).where(*others).values(withheld=wanted))
    weigh_anew(session, affected, outdated)
    if content != "off":
        ask_for_check(session, project.id)


def weigh_anew(session: Session, group_ids: Collection[str], outdated: Outdated) -> None:
    """What these groups and their ratings are worth, now that other pictures count.

    What an update has used stays used.
    """
    session.flush()
    for some in batched(sorted(group_ids)):
        unused = (Group.id.in_(some), Group.used_by_update_id.is_(None))
        groups = session.scalars(select(Group).where(*unused)).all()
        hidden = out_of_sight(session, some)
        shown: Counter[str | None] = Counter()
        for group_id, image_id in session.execute(
            select(Image.group_id, Image.id).where(Image.group_id.in_(some))
        ):
            shown[group_id] += image_id not in hidden
        for group in groups:
            if shown[group.id] < LEAST_SHOWN:
                group.retired_reason = group.retired_reason or SET_ASIDE
            elif group.retired_reason == SET_ASIDE:
                group.retired_reason = outdated(group.revision_id)
        ids = [group.id for group in groups]
        ratings = session.scalars(select(Rating).where(Rating.group_id.in_(ids))).all()
        put_rewards(session, ratings, hidden)
        refresh(session, *groups)


def ask_for_check(session: Session, project_id: str) -> None:
    """Queue a look at pictures that no checker has seen, unless there are none or one is queued."""
    unseen = select(Image.id).where(_of_project(project_id), Image.sensitive.is_(None)).limit(1)
    waiting = (Job.project_id == project_id, Job.kind == KIND, Job.state == "queued")
    queued = select(Job.id).where(*waiting, Job.priority == _PRIORITY).limit(1)
    if session.scalar(unseen) is not None and session.scalar(queued) is None:
        session.add(Job(kind=KIND, project_id=project_id, payload=CHECK, priority=_PRIORITY))


def unseen(db: Database, project_id: str, limit: int, after: str = "") -> list[Image]:
    """Pictures that no checker has looked at, in the order of their ids."""
    with db.read() as session:
        wanted = select(Image).where(_of_project(project_id), Image.sensitive.is_(None))
        in_order = wanted.where(Image.id > after).order_by(Image.id).limit(limit)
        return list(session.scalars(in_order))


def _of_project(project_id: str) -> ColumnElement[bool]:
    groups = select(Group.id).where(Group.project_id == project_id)
    samples = select(Samples.id).where(Samples.project_id == project_id)
    return or_(Image.group_id.in_(groups), Image.samples_id.in_(samples))
