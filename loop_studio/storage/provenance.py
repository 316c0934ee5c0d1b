"""Where versions come from: whose ratings, which rewards, which settings made each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database, found
from loop_studio.storage.retraining import taught
from loop_studio.storage.schema import (
    Group,
    Project,
    Prompt,
    Rater,
    Rating,
    Retraining,
    SettingsRevision,
    Update,
    UpdateInput,
    Version,
    VersionFile,
)

MOST_RATINGS = 500


@dataclass(frozen=True)
class RaterPart:
    """How many of a rater's ratings an update learned from."""

    id: str
    name: str
    ratings: int


@dataclass(frozen=True)
class Retold:
    """What a version made by a retraining is."""

    version: int  # that was to be made again
    ancestor: int
    words: str


@dataclass(frozen=True)
class Provenance:
    """What made one version; of the base and of imports only the bytes say something."""

    version_id: str
    bytes: int
    update: int | None = None
    groups: int = 0
    ratings: int = 0
    raters: list[RaterPart] = field(default_factory=list)
    reward: dict[str, Any] | None = None
    changed: dict[str, list[Any]] = field(default_factory=dict)  # setting: [parent's, its own]
    retraining: Retold | None = None


@dataclass(frozen=True)
class UsedRating:
    """A rating that a version learned from, itself or by an ancestor."""

    event_id: str
    rater_id: str
    rater: str
    prompt: str
    mode: str
    update: int
    created_at: datetime


def provenance(db: Database, project_id: str) -> list[Provenance]:
    """Of every version that is not deleted, oldest first."""
    with db.read() as session:
        found(session, Project, project_id)
        wanted = select(Version).where(Version.project_id == project_id).order_by(Version.number)
        rows = session.scalars(wanted).all()
        sizes = _sizes(session, project_id)
        of_project = select(Update).where(
            Update.project_id == project_id, Update.version_id.is_not(None)
        )
        updates = {row.version_id or "": row for row in session.scalars(of_project)}
        told = _Told(session, project_id, rows, updates)
        return [told.of(row, sizes.get(row.id, 0)) for row in rows if row.deleted_at is None]


def ratings_of(db: Database, version_id: str) -> tuple[list[UsedRating], bool]:
    """The ratings on a version's line, newest first, and whether there are more than are listed."""
    with db.read() as session:
        updates = {update.id: update.number for update in taught(session, version_id)}
        used = (
            select(UpdateInput.rating_sequence, func.min(UpdateInput.update_id).label("update_id"))
            .where(UpdateInput.update_id.in_(updates), UpdateInput.rating_sequence.is_not(None))
            .group_by(UpdateInput.rating_sequence)
            .subquery()
        )
        wanted = (
            select(Rating, Rater.name, Prompt.text, used.c.update_id)
            .join(used, used.c.rating_sequence == Rating.sequence)
            .join(Rater, Rater.id == Rating.rater_id)
            .join(Group, Group.id == Rating.group_id)
            .join(Prompt, Prompt.id == Group.prompt_id)
            .order_by(Rating.sequence.desc())
            .limit(MOST_RATINGS + 1)
        )
        rows = [
            UsedRating(
                event_id=rating.event_id,
                rater_id=rating.rater_id,
                rater=name,
                prompt=text,
                mode=rating.mode,
                update=updates[update_id],
                created_at=rating.created_at,
            )
            for rating, name, text, update_id in session.execute(wanted)
        ]
        return rows[:MOST_RATINGS], len(rows) > MOST_RATINGS


class _Told:
    """All that is read once for the versions of a project."""

    def __init__(
        self,
        session: Session,
        project_id: str,
        rows: Sequence[Version],
        updates: Mapping[str, Update],
    ) -> None:
        self._updates = updates
        self._parents = {row.id: row.parent_id for row in rows}
        self._numbers = {row.id: row.number for row in rows}
        revisions = select(SettingsRevision).where(SettingsRevision.project_id == project_id)
        ordered = session.scalars(revisions.order_by(SettingsRevision.number)).all()
        self._revisions = {row.id: row for row in ordered}
        self._first = ordered[0]
        self._raters = _raters(session, project_id)
        again = select(Retraining).where(Retraining.project_id == project_id)
        self._retrainings = {row.id: row for row in session.scalars(again)}

    def of(self, version: Version, size: int) -> Provenance:
        """One version's."""
        update = self._updates.get(version.id)
        if update is None:
            return Provenance(version.id, size)
        own = self._revisions[update.revision_id]
        before = self._before(version.parent_id).values
        return Provenance(
            version_id=version.id,
            bytes=size,
            update=update.number,
            groups=update.group_count,
            ratings=update.rating_count,
            raters=self._raters.get(update.id, []),
            reward=own.reward,
            changed={
                name: [before.get(name), value]
                for name, value in own.values.items()
                if before.get(name) != value
            },
            retraining=self._retold(update.retraining_id),
        )

    def _before(self, version_id: str | None) -> SettingsRevision:
        """The settings that made the nearest ancestor, or that the project began with."""
        while version_id is not None:
            if version_id in self._updates:
                return self._revisions[self._updates[version_id].revision_id]
            version_id = self._parents[version_id]
        return self._first

    def _retold(self, retraining_id: str | None) -> Retold | None:
        row = self._retrainings.get(retraining_id or "")
        if row is None:
            return None
        return Retold(self._numbers[row.version_id], self._numbers[row.ancestor_id], row.words)


def _raters(session: Session, project_id: str) -> dict[str, list[RaterPart]]:
    """By update id, who taught most first."""
    count = func.count(UpdateInput.rating_sequence.distinct())
    wanted = (
        select(UpdateInput.update_id, Rater.id, Rater.name, count)
        .join(Rater, Rater.id == UpdateInput.rater_id)
        .join(Update, Update.id == UpdateInput.update_id)
        .where(Update.project_id == project_id)
        .group_by(UpdateInput.update_id, Rater.id, Rater.name)
        .order_by(count.desc(), Rater.name)
    )
    parts: dict[str, list[RaterPart]] = defaultdict(list)
    for update_id, rater_id, name, ratings in session.execute(wanted):
        parts[update_id].append(RaterPart(rater_id, name, ratings))
    return parts


def _sizes(session: Session, project_id: str) -> dict[str, int]:
    wanted = (
        select(VersionFile.version_id, func.sum(VersionFile.size))
        .join(Version, Version.id == VersionFile.version_id)
        .where(Version.project_id == project_id)
        .group_by(VersionFile.version_id)
    )
    return {version_id: int(size) for version_id, size in session.execute(wanted)}
