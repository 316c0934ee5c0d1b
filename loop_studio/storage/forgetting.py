"""Removing a person's data on request: by name, from every project that they rated in.

What no update has learned from is deleted: ratings with their rewards, notes, flags, favourites,
what was shown to them and when, what they agreed to, their way in as a guest. What an update has
learned from cannot be unlearned by deleting a row, and without the row the version could not be
trained again without it. Of such a rating stay the number of its row, its group, gesture and
update, under a rater without a name; what was judged, in which order, how fast, and every trace of
the name go. No export tells of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, NotFound
from loop_studio.storage import audit, learned, raters
from loop_studio.storage.database import Database, batched, changed, found
from loop_studio.storage.exports import KIND as EXPORT
from loop_studio.storage.files import FileStore
from loop_studio.storage.schema import (
    ACTIVE,
    Assignment,
    Consent,
    Favourite,
    Group,
    Guest,
    GuestLink,
    Job,
    Project,
    Rater,
    Rating,
    Remark,
    Report,
    Retraining,
    Reward,
    RewardFit,
    Update,
    UpdateInput,
    Version,
    new_id,
    now,
)
from loop_studio.storage.tree import Tree
from loop_studio.storage.worth import refresh

_IN_USE = (
    "Update {number} of {project} is {status} and learns from these ratings; wait for it, or "
    "cancel it."
)
_UNKNOWN = "Nobody of that name has rated in this studio."


@dataclass(frozen=True)
class Learner:
    """A version that learned from the rater, itself or by an ancestor."""

    id: str
    number: int
    live: bool


@dataclass(frozen=True)
class Traces:
    """What a project holds of one rater, or held before it was removed."""

    project_id: str
    project: str
    rater_id: str
    ratings: int
    used: int  # of them, those that updates have learned from
    remarks: int  # notes, flags and favourites
    versions: Sequence[Learner]


def traces(db: Database, name: str) -> list[Traces]:
    """What every project holds of the rater of this name. Raises NotFound, Invalid."""
    with db.read() as session:
        return [_traces(session, rater) for rater in _of_name(session, name)]


def remove(db: Database, files: FileStore, name: str) -> list[Traces]:
    """Remove everything that is this rater's, in every project; returns what was there.

    Raises NotFound, and Conflict `update_active` while an update learns from it.
    """
    keys: list[str] = []
    with db.write() as session:
        for project_id in sorted(rater.project_id for rater in _of_name(session, name)):
            found(session, Project, project_id, lock=True)
        known = _of_name(session, name)  # again: now nobody can rate or remove meanwhile
        told = [_traces(session, rater) for rater in known]
        for rater in known:
            project = found(session, Project, rater.project_id)
            _refuse_in_use(session, project, rater)
            _delete_beside(session, rater)
            _delete_unused(session, rater)
            _strip_used(session, rater)
            _rename(session, rater)
            keys += _let_exports_go(session, project.id)
            learned.ask_again(session, project.id)
            audit.note(session, "rater", "Removed a rater's data.", project.id)
    for key in keys:
        files.delete(key)
    return told


def _of_name(session: Session, name: str) -> Sequence[Rater]:
    raters.check(name)
    named = select(Rater).where(Rater.name == name, Rater.removed_at.is_(None))
    rows = session.scalars(named.order_by(Rater.created_at, Rater.id)).all()
    if not rows:
        raise NotFound(_UNKNOWN)
    return rows


def _traces(session: Session, rater: Rater) -> Traces:
    project = found(session, Project, rater.project_id)
    own = select(func.count()).select_from(Rating).where(Rating.rater_id == rater.id)
    marks = (
        select(func.count()).select_from(table).where(table.rater_id == rater.id)
        for table in (Remark, Favourite)
    )
    return Traces(
        project_id=project.id,
        project=project.name,
        rater_id=rater.id,
        ratings=session.scalar(own) or 0,
        used=session.scalar(own.where(_is_used())) or 0,
        remarks=sum(session.scalar(count) or 0 for count in marks),
        versions=_learners(session, project, rater),
    )


def _learners(session: Session, project: Project, rater: Rater) -> list[Learner]:
    taught = select(UpdateInput.update_id).where(UpdateInput.rater_id == rater.id)
    made = set(session.scalars(select(Update.version_id).where(Update.id.in_(taught))))
    tree = Tree(session, project.id)
    there = (Version.project_id == project.id, Version.deleted_at.is_(None))
    return [
        Learner(version.id, version.number, version.id == project.live_version_id)
        for version in session.scalars(select(Version).where(*there).order_by(Version.number))
        if made.intersection(tree.line(version.id))
    ]


def _is_used() -> Any:
    recorded = select(UpdateInput.rating_sequence).where(UpdateInput.rating_sequence.is_not(None))
    return or_(Rating.used_by_update_id.is_not(None), Rating.sequence.in_(recorded))


def _refuse_in_use(session: Session, project: Project, rater: Rater) -> None:
    claimed = select(Rating.used_by_update_id).where(Rating.rater_id == rater.id)
    recorded = select(UpdateInput.update_id).where(UpdateInput.rater_id == rater.id)
    learning = select(Update).where(
        Update.status.in_(ACTIVE), or_(Update.id.in_(claimed), Update.id.in_(recorded))
    )
    if (active := session.scalars(learning).first()) is not None:
        told = _IN_USE.format(number=active.number, project=project.name, status=active.status)
        raise Conflict(told, "update_active", update_id=active.id)


def _delete_beside(session: Session, rater: Rater) -> None:
    for table in (Assignment, Remark, Favourite, Consent):
        changed(session, delete(table).where(table.rater_id == rater.id))
    links = select(GuestLink.id).where(GuestLink.project_id == rater.project_id)
    changed(session, delete(Guest).where(Guest.name == rater.name, Guest.link_id.in_(links)))
    # What they reported stays out of sight; their words about it go.
    changed(session, update(Report).where(Report.rater_id == rater.id).values(reason=""))


def _delete_unused(session: Session, rater: Rater) -> None:
    unused = (Rating.rater_id == rater.id, ~_is_used())
    rows = session.execute(select(Rating.sequence, Rating.group_id).where(*unused)).all()
    for some in batched([sequence for sequence, _ in rows]):
        fits = select(RewardFit).where(RewardFit.last_sequence.in_(some))
        for fit in session.scalars(fits):
            fit.last_sequence = session.scalar(_before(fit.last_sequence, rater))
        session.flush()
        changed(session, delete(Reward).where(Reward.sequence.in_(some)))
        changed(session, delete(Rating).where(Rating.sequence.in_(some)))
    for ids in batched(sorted({group_id for _, group_id in rows})):
        refresh(session, *session.scalars(select(Group).where(Group.id.in_(ids))))


def _before(sequence: int | None, rater: Rater) -> Select[int | None]:
    """The last rating before one, of the project's other raters."""
    others = (Rating.project_id == rater.project_id, Rating.rater_id != rater.id)
    return select(func.max(Rating.sequence)).where(*others, Rating.sequence < sequence)


def _strip_used(session: Session, rater: Rater) -> None:
    own = select(Rating).where(Rating.rater_id == rater.id)
    for rating in session.scalars(own):
        rating.event_id, rating.content_sha256 = new_id(), ""
        rating.judgement, rating.order, rating.elapsed_ms = {}, None, None
        rating.status, rating.usable, rating.reason = "undone", False, "Removed on request."
    used = select(Rating.sequence).where(Rating.rater_id == rater.id)
    changed(session, delete(Reward).where(Reward.sequence.in_(used)))


def _rename(session: Session, rater: Rater) -> None:
    """The name goes, from what was made without them too."""
    name, rater.name = rater.name, f"removed rater {new_id()[:8]}"
    rater.removed_at = now()
    orders = select(Job).where(Job.project_id == rater.project_id, Job.kind == "samples")
    for job in session.scalars(orders.where(Job.payload["rater"].as_string() == name)):
        job.payload = {**job.payload, "rater": None}
    named = re.compile(rf"((?:without | and )){re.escape(name)}(?= and |$)")
    of_project = select(Retraining).where(Retraining.project_id == rater.project_id)
    for row in session.scalars(of_project):
        row.words = named.sub(rf"\1{rater.name}", row.words)
        made = select(Version).join(Update, Update.version_id == Version.id)
        for version in session.scalars(made.where(Update.retraining_id == row.id)):
            version.name = named.sub(rf"\1{rater.name}", version.name or "") or None


def _let_exports_go(session: Session, project_id: str) -> list[str]:
    """Whole projects that were packed with the name in them."""
    keys = []
    exports = select(Job).where(Job.project_id == project_id, Job.kind == EXPORT)
    for job in session.scalars(exports.with_for_update()):
        if job.payload["format"] != "project":
            continue
        job.cancel_requested = job.state in ACTIVE
        if "file" in job.payload:
            keys.append(job.payload["file"]["key"])
            job.payload = {k: v for k, v in job.payload.items() if k != "file"}
    return keys
