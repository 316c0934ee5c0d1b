"""Versions: published LoRAs in a tree. Version 0 is the untouched base and always exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from loop_studio.errors import Invalid, NotFound
from loop_studio.shares import Share
from loop_studio.storage.database import Database, found
from loop_studio.storage.files import FileStore
from loop_studio.storage.projects import keep_active, revision_of
from loop_studio.storage.promotion import make_live
from loop_studio.storage.refilling import refill_in
from loop_studio.storage.schema import Group, Project, Rater, Rating, Version, VersionFile
from loop_studio.storage.tree import Tree, numbered, present

LONGEST_NAME = 200
LONGEST_NOTE = 2000

_GONE = (
    "The {kind} file of version {number} is gone from the data folder. Put it back from a backup, "
    "or make another version live."
)
_CHANGED = (
    "The {kind} file of version {number} was changed or damaged outside the studio, so it is not "
    "used. Put the original back from a backup, or make another version live."
)


def get(db: Database, version_id: str | None) -> Version:
    """One version, or NotFound."""
    with db.read() as session:
        return found(session, Version, version_id or "")


def by_number(db: Database, project_id: str, number: int) -> Version:
    """The version of this number, or NotFound."""
    with db.read() as session:
        found(session, Project, project_id)
        return numbered(session, project_id, number)


def live(db: Database, project_id: str) -> Version:
    """The version that new groups are made with."""
    with db.read() as session:
        project = found(session, Project, project_id)
        return found(session, Version, project.live_version_id or "")


def activate(db: Database, version_id: str) -> Version:
    """Make a version live again; repeatable. Groups off its line that nobody judged are retired."""
    with db.write() as session:
        version = found(session, Version, version_id)
        project = found(session, Project, version.project_id, lock=True)
        version = present(session, version_id, lock=True)
        keep_active(project)
        if project.live_version_id != version.id:
            make_live(session, project, version)
            refill_in(session, project, revision_of(session, project))
        return version


def change(
    db: Database,
    version_id: str,
    name: str | None = None,
    note: str | None = None,
    pinned: bool | None = None,
    kept: bool | None = None,
) -> Version:
    """Change what is given; an empty name takes the name away.

    Pinned versions are never deleted; of a kept one, what it learned from is not let go either.
    """
    with db.write() as session:
        version = present(session, version_id, lock=True)
        if name is not None:
            version.name = _text("name", name, LONGEST_NAME) or None
        if note is not None:
            version.note = _text("note", note, LONGEST_NOTE)
        version.pinned = version.pinned if pinned is None else pinned
        version.kept = version.kept if kept is None else kept
        return version


def file(db: Database, version_id: str, kind: str) -> VersionFile:
    """Where a file of a version lies: `resume`, `diffusers` or `kohya`."""
    with db.read() as session:
        version = found(session, Version, version_id)
        stored = session.get(VersionFile, (version_id, kind))
    if version.number == 0:
        raise NotFound(
            "Version 0 is the untouched base model and has no LoRA; choose a later version.",
            "base_has_no_lora",
        )
    if version.deleted_at is not None:
        raise NotFound(f"Version {version.number} was deleted with its files.", "version_deleted")
    if stored is None:
        raise NotFound(f"Version {version.number} has no {kind} file.")
    return stored


def whole_file(db: Database, files: FileStore, version_id: str, kind: str) -> Path:
    """Where a file of a version lies, once it is seen to be the one that was written.

    Raises NotFound `file_gone` or `file_changed`.
    """
    stored = file(db, version_id, kind)
    number = get(db, version_id).number
    if not files.path(stored.key).is_file():
        raise NotFound(_GONE.format(kind=kind, number=number), "file_gone")
    if not files.is_whole(stored.key, stored.sha256):
        raise NotFound(_CHANGED.format(kind=kind, number=number), "file_changed")
    return files.path(stored.key)


def set_metrics(db: Database, version_id: str, metrics: Mapping[str, Any]) -> None:
    """Merge measurements into a version's metrics."""
    with db.write() as session:
        version = found(session, Version, version_id, lock=True)
        version.metrics = {**version.metrics, **metrics}


def lags(db: Database, from_versions: Iterable[str], to_version: str | None) -> dict[str, int]:
    """Updates between each of some versions and another of their project, along the tree."""
    with db.read() as session:
        end = found(session, Version, to_version or "")
        tree = Tree(session, end.project_id)
        return {start: tree.distance(start, end.id) for start in set(from_versions)}


def none_shares(db: Database, project_id: str) -> dict[str, Share]:
    """Share of each version's judged groups where the rater said that none is good.

    By version id; versions without a judgement in a mode that can say so are left out, and so
    are excluded raters.
    """
    can_say_so = (
        Rating.project_id == project_id,
        Rating.status == "active",
        Rating.mode.in_(("best", "good")),
        Rating.rater_id.not_in(select(Rater.id).where(Rater.excluded)),
        Group.kind == "group",
    )
    by_version = select(Group.version_id, func.count()).group_by(Group.version_id)
    judged = by_version.join(Rating, Rating.group_id == Group.id).where(*can_say_so)
    equal = select(Group.version_id, Rating.judgement).join(Rating, Rating.group_id == Group.id)
    with db.read() as session:
        totals = dict(session.execute(judged).all())
        nones = Counter(
            version
            for version, judgement in session.execute(equal.where(*can_say_so, ~Rating.usable))
            if not any(judgement.values())
        )
    return {version: Share(nones[version], total) for version, total in totals.items()}


def numbers(db: Database, project_id: str) -> dict[str, int]:
    """The number of every version there ever was, by its id."""
    with db.read() as session:
        every = select(Version.id, Version.number).where(Version.project_id == project_id)
        return {row.id: row.number for row in session.execute(every)}


def list(db: Database, project_id: str) -> Sequence[Version]:
    """Every version of a project that is not deleted, oldest first."""
    with db.read() as session:
        found(session, Project, project_id)
        there = (Version.project_id == project_id, Version.deleted_at.is_(None))
        return session.scalars(select(Version).where(*there).order_by(Version.number)).all()


def _text(name: str, value: str, most: int) -> str:
    if len(value.strip()) > most:
        raise Invalid(f"{name} must have at most {most} characters.")
    return value.strip()
