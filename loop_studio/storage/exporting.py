"""Rating events as they leave the studio: read in order of arrival, a few hundred at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database, found
from loop_studio.storage.ratings import too_fast
from loop_studio.storage.schema import Group, Image, Project, Prompt, Rater, Rating, Version
from loop_studio.storage.worth import derived_of

_AT_ONCE = 500


@dataclass(frozen=True)
class ExportedImage:
    """One picture of a judged group and where its file lies."""

    id: str
    key: str
    sha256: str
    withheld: str | None = None  # why nobody is shown it: its file is not exported


@dataclass(frozen=True)
class ExportedRating:
    """One rating event with everything that gives it meaning outside of the studio.

    `judgement` is raw; `rewards` has an entry per image, in [0, 1], None where it was not judged;
    `images` are in the order of their positions in the group, whatever order the rater saw.
    """

    sequence: int
    event_id: str
    project_id: str
    group_id: str
    kind: str  # group, repeat or pair
    prompt: str
    version: int
    rater: str
    rater_id: str
    mode: str
    judgement: dict[str, float | None]
    order: list[str] | None
    elapsed_ms: int | None
    too_fast: bool
    status: str
    usable: bool
    reason: str
    rewards: dict[str, float | None]
    used_by_update_id: str | None
    created_at: datetime
    images: list[ExportedImage]

    def values(self) -> dict[str, Any]:
        """JSON values: a line of `ratings.jsonl`."""
        told = {name: getattr(self, name) for name in COLUMNS}
        return told | {"created_at": self.created_at.isoformat().replace("+00:00", "Z")}


COLUMNS = (
    "event_id", "project_id", "group_id", "kind", "prompt", "version", "rater", "mode", "judgement",
    "order", "elapsed_ms", "too_fast", "status", "usable", "reason", "rewards",
    "used_by_update_id", "created_at",
)  # fmt: skip

# Columns, not rows of the mapper: half the time for a hundred thousand of them.
_FACTS = (
    *(column for column in Rating.__table__.columns if column.name not in {"content_sha256"}),
    Rater.name.label("rater"),
    Group.kind,
    Prompt.text.label("prompt"),
    Version.number.label("version"),
)


def rows(db: Database, project_id: str) -> Iterator[ExportedRating]:
    """Every event of a project in order of arrival, superseded and undone ones included.

    None of a rater whose data was removed.

    No transaction stays open between two batches, so a slow reader holds up nobody. Raises
    NotFound at once, before the first row is asked for.
    """
    with db.read() as session:
        found(session, Project, project_id)
    return _rows(db, project_id)


def widest(db: Database, project_id: str) -> int:
    """How many images the largest group of the project has; 0 without groups."""
    wanted = select(func.max(Image.position)).join(Group).where(Group.project_id == project_id)
    with db.read() as session:
        last = session.scalar(wanted)
    return 0 if last is None else last + 1


def rater_numbers(db: Database, project_id: str) -> dict[str, int]:
    """A number per rater id, from 1 in order of appearance: raters without their names."""
    oldest_first = (Rater.created_at, Rater.id)
    named = (Rater.project_id == project_id, Rater.removed_at.is_(None))
    wanted = select(Rater.id).where(*named).order_by(*oldest_first)
    with db.read() as session:
        return {rater_id: number for number, rater_id in enumerate(session.scalars(wanted), 1)}


def _rows(db: Database, project_id: str) -> Iterator[ExportedRating]:
    after, more = 0, True
    while more:
        with db.read() as session:
            batch = _batch(session, project_id, after)
        yield from batch
        more = len(batch) == _AT_ONCE
        after = batch[-1].sequence if batch else after


def _batch(session: Session, project_id: str, after: int) -> list[ExportedRating]:
    # By an expression no index is found for: SQLite would take the project's, and sort all of its
    # ratings anew for every batch, where the primary key has them in order.
    of_project = Rating.project_id.concat("") == project_id
    wanted = (
        select(*_FACTS)
        .join(Rater, Rater.id == Rating.rater_id)
        .join(Group, Group.id == Rating.group_id)
        .join(Prompt, Prompt.id == Group.prompt_id)
        .join(Version, Version.id == Group.version_id)
        .where(of_project, Rating.sequence > after, Rater.removed_at.is_(None))
        .order_by(Rating.sequence)
        .limit(_AT_ONCE)
    )
    events = session.execute(wanted).mappings().all()
    images = _images(session, {event["group_id"] for event in events})
    return [_exported(event, images[event["group_id"]]) for event in events]


def _images(session: Session, group_ids: Iterable[str]) -> Mapping[str | None, list[ExportedImage]]:
    columns = (Image.group_id, Image.id, Image.key, Image.sha256, Image.withheld)
    wanted = select(*columns).where(Image.group_id.in_(group_ids)).order_by(Image.position)
    images: dict[str | None, list[ExportedImage]] = defaultdict(list)
    for group_id, image_id, key, sha256, withheld in session.execute(wanted):
        images[group_id].append(ExportedImage(image_id, key, sha256, withheld))
    return images


def _exported(event: RowMapping, images: list[ExportedImage]) -> ExportedRating:
    hidden = {image.id for image in images if image.withheld is not None}
    ids = [image.id for image in images]
    derived = derived_of(event["mode"], event["judgement"], ids, hidden)
    return ExportedRating(
        **event,
        too_fast=too_fast(event["elapsed_ms"]),
        rewards=derived.rewards,
        images=images,
    )
