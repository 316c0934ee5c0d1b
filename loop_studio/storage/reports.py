"""Reported pictures: hidden from everyone at once, until someone decides to keep or remove them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from loop_studio.content import withheld
from loop_studio.errors import Conflict, Forbidden
from loop_studio.storage import raters
from loop_studio.storage.content import weigh_anew
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import outdated_reason, revision_of
from loop_studio.storage.schema import Assignment, Group, Image, Project, Rater, Report, now

LONGEST_REASON = 2_000  # characters
LISTED = 200
Decision = Literal["keep", "remove"]
_ENDS = {"keep": "kept", "remove": "removed"}


@dataclass(frozen=True)
class Listed:
    """A report as those who decide see it."""

    id: str
    image_id: str
    prompt: str
    rater: str
    reason: str
    state: str
    created_at: datetime
    decided_at: datetime | None


def report(db: Database, image_id: str, rater_name: str, reason: str) -> Report:
    """Hide a picture from everyone until someone decides; reported again by them, it is the same.

    Forbidden for a picture that this rater was never shown; Conflict once it was decided.
    """
    with db.write() as session:
        image = found(session, Image, image_id)
        rater = _who_saw(session, image, rater_name)
        known = select(Report).where(Report.rater_id == rater.id, Report.image_id == image.id)
        row = session.scalars(known).one_or_none()
        if row is not None and row.state == "open":
            return row
        if row is not None or image.withheld == "removed":
            word = "removed" if image.withheld == "removed" else "kept"
            raise Conflict(f"This picture was looked at and {word}.", "already_decided")
        row = Report(
            project_id=rater.project_id, image_id=image.id, rater_id=rater.id, reason=reason.strip()
        )
        session.add(row)
        for same in _same_picture(session, image):
            same.withheld = "reported"
        _weigh(session, found(session, Project, rater.project_id, lock=True), image)
        return row


def decide(db: Database, report_id: str, decision: Decision) -> Report:
    """Keep the picture or remove it for good, for all who reported it. Repeatable, both ways."""
    with db.write() as session:
        row = found(session, Report, report_id)
        project = found(session, Project, row.project_id, lock=True)
        rule = revision_of(session, project).config.content
        image = found(session, Image, row.image_id)
        images = _same_picture(session, image)
        ids = [same.id for same in images]
        for other in session.scalars(select(Report).where(Report.image_id.in_(ids))):
            other.state, other.decided_at = _ENDS[decision], now()
        for same in images:
            same.withheld = "removed" if decision == "remove" else withheld(rule, same.sensitive)
        _weigh(session, project, image)
        return row


def listing(db: Database, project_id: str) -> list[Listed]:
    """The reports of a project, open ones first, then the newest."""
    with db.read() as session:
        found(session, Project, project_id)
        wanted = (
            select(Report, Image.prompt, Rater.name)
            .join(Image, Image.id == Report.image_id)
            .join(Rater, Rater.id == Report.rater_id)
            .where(Report.project_id == project_id)
            .order_by(Report.state != "open", Report.created_at.desc(), Report.id)
            .limit(LISTED)
        )
        return [_listed(row, prompt, name) for row, prompt, name in session.execute(wanted)]


def get(db: Database, report_id: str) -> Listed:
    """One report, or NotFound."""
    with db.read() as session:
        row = found(session, Report, report_id)
        image = found(session, Image, row.image_id)
        return _listed(row, image.prompt, found(session, Rater, row.rater_id).name)


def image(db: Database, report_id: str) -> Image:
    """The picture that a report is about, for those who decide."""
    with db.read() as session:
        return found(session, Image, found(session, Report, report_id).image_id)


def count_open(session: Session, project_id: str | None = None) -> int:
    """Reports that wait for a decision, of one project or of all."""
    wanted = select(func.count()).select_from(Report).where(Report.state == "open")
    if project_id is not None:
        wanted = wanted.where(Report.project_id == project_id)
    return session.scalar(wanted) or 0


def _who_saw(session: Session, image: Image, rater_name: str) -> Rater:
    group = found(session, Group, image.group_id) if image.group_id else None
    rater = raters.known(session, group.project_id, rater_name) if group else None
    if group is not None and rater is not None:
        shown = (Assignment.group_id == group.id, Assignment.rater_id == rater.id)
        if session.scalar(select(Assignment.id).where(*shown)) is not None:
            return rater
    raise Forbidden("You can report a picture that was shown to you to judge.", "not_shown")


def _same_picture(session: Session, image: Image) -> Sequence[Image]:
    """The image, and the same one in hidden repeats of its group."""
    origin = found(session, Group, image.group_id or "").repeat_of_id or image.group_id
    family = select(Group.id).where(or_(Group.id == origin, Group.repeat_of_id == origin))
    wanted = (Image.group_id.in_(family), Image.position == image.position)
    return session.scalars(select(Image).where(*wanted)).all()


def _weigh(session: Session, project: Project, image: Image) -> None:
    groups = {same.group_id for same in _same_picture(session, image) if same.group_id}
    weigh_anew(session, groups, partial(outdated_reason, session, project))


def _listed(row: Report, prompt: str, rater: str) -> Listed:
    return Listed(
        id=row.id,
        image_id=row.image_id,
        prompt=prompt,
        rater=rater,
        reason=row.reason,
        state=row.state,
        created_at=row.created_at,
        decided_at=row.decided_at,
    )
