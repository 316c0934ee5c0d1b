"""Rating events: stored raw, once, for ever; superseded and undone, never deleted."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, Forbidden, Invalid, NotFound
from loop_studio.judgement import Derived, check_gesture
from loop_studio.storage import auto_update, consent, learned, promotion, raters, serving
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import Revision, keep_active, revision_of
from loop_studio.storage.refilling import refill_in
from loop_studio.storage.schema import (
    Group,
    Project,
    Rater,
    Rating,
    now,
)
from loop_studio.storage.worth import (
    derived_of,
    image_ids,
    out_of_sight,
    put_rewards,
    refresh,
)

LONGEST_ELAPSED_MS = 86_400_000
TOO_FAST_MS = 120  # nobody sees a group and judges it within this time


@dataclass(frozen=True)
class RatingIn:
    """One gesture of one rater on one group, as a client sends it."""

    event_id: str
    group_id: str
    rater: str
    mode: str
    judgement: dict[str, float | None]
    order: list[str] | None = None
    elapsed_ms: float | None = None


@dataclass(frozen=True)
class RatingOut:
    """A stored rating event and what it is worth."""

    event_id: str
    group_id: str
    rater: str
    mode: str
    judgement: dict[str, float | None]
    status: str
    usable: bool
    reason: str
    rewards: dict[str, float | None]
    advantages: dict[str, float | None]
    used_by_update_id: str | None
    too_fast: bool  # judged within TOO_FAST_MS of being on screen
    created_at: datetime


def record(db: Database, rating: RatingIn) -> RatingOut:
    """Store one event, synced to disk when this returns. The same event again changes nothing.

    A later event of the same rater on the same group supersedes the earlier one. Raises Conflict
    `event_conflict` when the event is known with other content.
    """
    try:
        return _record(db, rating)
    except IntegrityError:  # the same event arrived twice at once, for two projects
        return _record(db, rating)


def preview(db: Database, group_id: str, mode: str, judgement: dict[str, float | None]) -> Derived:
    """What a judgement would be worth, by the very rule that records it. Stores nothing."""
    with db.read() as session:
        images = image_ids(session, found(session, Group, group_id).id)
        hidden = out_of_sight(session, [group_id])
    check_gesture(mode, judgement, images)
    return derived_of(mode, judgement, images, hidden)


def undo(db: Database, event_id: str, rater: str | None = None) -> RatingOut:
    """Take an event back; repeatable. Its group comes next for that rater again.

    What an update has used stays used, and `used_by_update_id` says so. Where a `rater` is named,
    it must be theirs; else Forbidden.
    """
    with db.write() as session:
        row = _event(session, event_id)
        if row is None:
            raise NotFound(f"There is no rating event {event_id}.")
        if rater not in {None, found(session, Rater, row.rater_id).name}:
            raise Forbidden("That is somebody else's answer; only they can take it back.")
        project = found(session, Project, row.project_id, lock=True)
        keep_active(project)
        if row.status != "undone":
            _undo(session, row)
            refill_in(session, project, revision_of(session, project))
        return _out(session, row)


def too_fast(elapsed_ms: int | None) -> bool:
    """Whether a group was judged within TOO_FAST_MS of being on screen."""
    return elapsed_ms is not None and elapsed_ms < TOO_FAST_MS


def store(
    session: Session,
    rating: RatingIn,
    status: str = "active",
    created_at: datetime | None = None,
) -> tuple[Rating, bool]:
    """`record` within a transaction: the event's row, and whether it is new.

    Whatever is wrong with it is raised before anything is written, so the transaction may go on.
    One that is not `active` any more supersedes nothing. The caller sees to `look_after`.
    """
    if not 1 <= len(rating.event_id) <= 64:
        raise Invalid("event_id must have 1 to 64 characters.")
    raters.check(rating.rater)
    elapsed = _plausible(rating.elapsed_ms)
    digest = _digest(rating, elapsed)
    if (known := _event(session, rating.event_id)) is not None:
        return _known(known, digest), False
    group = found(session, Group, rating.group_id)
    project = found(session, Project, group.project_id, lock=True)
    session.refresh(group)
    images, hidden = image_ids(session, group.id), out_of_sight(session, [group.id])
    _check(rating, images, hidden)
    rater = raters.named(session, project.id, rating.rater)
    if status == "active":
        _supersede(session, group.id, rater.id)
        serving.let_go(session, group.id, rater.id)
    row = Rating(
        event_id=rating.event_id,
        project_id=project.id,
        group_id=group.id,
        rater_id=rater.id,
        mode=rating.mode,
        judgement=rating.judgement,
        order=rating.order,
        elapsed_ms=elapsed,
        content_sha256=digest,
        status=status,
        usable=False,
        reason="",
        created_at=created_at or now(),
    )
    session.add(row)
    refresh(session, group)
    put_rewards(session, [row], hidden)
    return row, True


def look_after(session: Session, project: Project, revision: Revision) -> None:
    """What new ratings call for: groups in the place of the judged ones, a reward, an update."""
    refill_in(session, project, revision)
    learned.ask_if_due(session, project.id)
    auto_update.start_if_due(session, project, revision)


def _record(db: Database, rating: RatingIn) -> RatingOut:
    with db.write() as session:
        row, is_new = store(session, rating)
        if is_new:
            project = found(session, Project, row.project_id)
            consent.require(session, found(session, Rater, row.rater_id))
            keep_active(project)
            group = found(session, Group, row.group_id)
            revision = revision_of(session, project)
            promotion.decide(session, project, revision, group)
            look_after(session, project, revision)
        return _out(session, row)


def _known(row: Rating, digest: str) -> Rating:
    if row.content_sha256 != digest:
        raise Conflict(
            "This event_id was used for another rating; send a new judgement as a new event.",
            "event_conflict",
        )
    return row


def _check(rating: RatingIn, images: Sequence[str], hidden: Collection[str]) -> None:
    for value in rating.judgement.values():
        if value is not None and not math.isfinite(value):
            raise Invalid("The values of a judgement are finite numbers or null.")
    check_gesture(rating.mode, rating.judgement, images)
    order = images if rating.order is None else rating.order
    # What is hidden now may have been on screen then, or not.
    once = len(set(order)) == len(order) and set(order) <= set(images)
    if not once or not set(images) - set(hidden) <= set(order):
        raise Invalid("order must name each image of the group exactly once.")


def _plausible(elapsed_ms: float | None) -> int | None:
    if elapsed_ms is None or not 0 <= elapsed_ms <= LONGEST_ELAPSED_MS:
        return None
    return round(elapsed_ms)


def _digest(rating: RatingIn, elapsed: int | None) -> str:
    judged = {image: float(value) for image, value in rating.judgement.items() if value is not None}
    content = [rating.group_id, rating.rater, rating.mode, judged, rating.order, elapsed]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _supersede(session: Session, group_id: str, rater_id: str) -> None:
    wanted = select(Rating).where(
        Rating.group_id == group_id, Rating.rater_id == rater_id, Rating.status == "active"
    )
    for older in session.scalars(wanted):
        older.status = "superseded"


def _undo(session: Session, row: Rating) -> None:
    was_active = row.status == "active"
    row.status = "undone"
    group = found(session, Group, row.group_id)
    refresh(session, group)
    if was_active:
        serving.bring_back(session, group, found(session, Rater, row.rater_id))


def _event(session: Session, event_id: str) -> Rating | None:
    return session.scalars(select(Rating).where(Rating.event_id == event_id)).one_or_none()


def _out(session: Session, row: Rating) -> RatingOut:
    images, hidden = image_ids(session, row.group_id), out_of_sight(session, [row.group_id])
    derived = derived_of(row.mode, row.judgement, images, hidden)
    return RatingOut(
        event_id=row.event_id,
        group_id=row.group_id,
        rater=found(session, Rater, row.rater_id).name,
        mode=row.mode,
        judgement=row.judgement,
        status=row.status,
        usable=row.usable,
        reason=row.reason,
        rewards=derived.rewards,
        advantages=derived.advantages,
        used_by_update_id=row.used_by_update_id,
        too_fast=too_fast(row.elapsed_ms),
        created_at=row.created_at,
    )
