"""Rating events: stored raw, once, for ever; superseded and undone, never deleted."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, Invalid, NotFound
from loop_studio.judgement import MAPPING_VERSION, check_gesture, derive
from loop_studio.storage import auto_update, promotion, raters, serving
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import keep_active, revision_of
from loop_studio.storage.refilling import refill_in
from loop_studio.storage.schema import (
    Group,
    Project,
    Prompt,
    Rater,
    Rating,
    Reward,
    Version,
)
from loop_studio.storage.worth import image_ids, refresh

LONGEST_ELAPSED_MS = 86_400_000
_EXPORTED_AT_ONCE = 500


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
    created_at: datetime


def record(db: Database, rating: RatingIn) -> RatingOut:
    """Store one event, synced to disk when this returns. The same event again changes nothing.

    A later event of the same rater on the same group supersedes the earlier one. Raises Conflict
    `event_conflict` when the event is known with other content.
    """
    if not 1 <= len(rating.event_id) <= 64:
        raise Invalid("event_id must have 1 to 64 characters.")
    raters.check(rating.rater)
    try:
        return _record(db, rating)
    except IntegrityError:  # the same event arrived twice at once, for two projects
        return _record(db, rating)


def undo(db: Database, event_id: str) -> RatingOut:
    """Take an event back; repeatable. Its group comes next for that rater again.

    What an update has used stays used, and `used_by_update_id` says so.
    """
    with db.write() as session:
        row = _event(session, event_id)
        if row is None:
            raise NotFound(f"There is no rating event {event_id}.")
        project = found(session, Project, row.project_id, lock=True)
        keep_active(project)
        if row.status != "undone":
            _undo(session, row)
            refill_in(session, project, revision_of(session, project))
        return _out(session, row)


def export_rows(db: Database, project_id: str) -> Iterator[dict[str, Any]]:
    """Every event of a project in order of arrival, superseded and undone ones included."""
    with db.read() as session:
        found(session, Project, project_id)
    after = 0
    while True:
        with db.read() as session:
            wanted = (
                select(Rating)
                .where(Rating.project_id == project_id, Rating.sequence > after)
                .order_by(Rating.sequence)
                .limit(_EXPORTED_AT_ONCE)
            )
            rows = [(row.sequence, _exported(session, row)) for row in session.scalars(wanted)]
        yield from (exported for _, exported in rows)
        if len(rows) < _EXPORTED_AT_ONCE:
            return
        after = rows[-1][0]


def _record(db: Database, rating: RatingIn) -> RatingOut:
    elapsed = _plausible(rating.elapsed_ms)
    digest = _digest(rating, elapsed)
    with db.write() as session:
        if (known := _event(session, rating.event_id)) is not None:
            return _known(session, known, digest)
        group = found(session, Group, rating.group_id)
        project = found(session, Project, group.project_id, lock=True)
        session.refresh(group)
        images = image_ids(session, group.id)
        _check(rating, images)
        rater = raters.named(session, project.id, rating.rater)
        _supersede(session, group.id, rater.id)
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
            usable=False,
            reason="",
        )
        session.add(row)
        refresh(session, group)
        _derive(session, row, images)
        serving.let_go(session, group.id, rater.id)
        keep_active(project)
        revision = revision_of(session, project)
        promotion.decide(session, project, revision, group)
        refill_in(session, project, revision)
        auto_update.start_if_due(session, project, revision)
        return _out(session, row)


def _known(session: Session, row: Rating, digest: str) -> RatingOut:
    if row.content_sha256 != digest:
        raise Conflict(
            "This event_id was used for another rating; send a new judgement as a new event.",
            "event_conflict",
        )
    return _out(session, row)


def _check(rating: RatingIn, images: Sequence[str]) -> None:
    for value in rating.judgement.values():
        if value is not None and not math.isfinite(value):
            raise Invalid("The values of a judgement are finite numbers or null.")
    check_gesture(rating.mode, rating.judgement, images)
    if rating.order is not None and sorted(rating.order) != sorted(images):
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


def _derive(session: Session, row: Rating, images: Sequence[str]) -> None:
    for image_id, value in derive(row.mode, row.judgement, images).rewards.items():
        if value is not None:
            session.add(
                Reward(
                    sequence=row.sequence,
                    image_id=image_id,
                    mapping_version=MAPPING_VERSION,
                    value=value,
                )
            )


def _event(session: Session, event_id: str) -> Rating | None:
    return session.scalars(select(Rating).where(Rating.event_id == event_id)).one_or_none()


def _out(session: Session, row: Rating) -> RatingOut:
    derived = derive(row.mode, row.judgement, image_ids(session, row.group_id))
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
        created_at=row.created_at,
    )


def _exported(session: Session, row: Rating) -> dict[str, Any]:
    group = found(session, Group, row.group_id)
    out = _out(session, row)
    return {
        "event_id": out.event_id,
        "project_id": row.project_id,
        "group_id": out.group_id,
        "prompt": found(session, Prompt, group.prompt_id).text,
        "version": found(session, Version, group.version_id).number,
        "kind": group.kind,
        "rater": out.rater,
        "mode": out.mode,
        "judgement": out.judgement,
        "order": row.order,
        "elapsed_ms": row.elapsed_ms,
        "status": out.status,
        "usable": out.usable,
        "reason": out.reason,
        "rewards": out.rewards,
        "used_by_update_id": out.used_by_update_id,
        "created_at": out.created_at.isoformat().replace("+00:00", "Z"),
    }
