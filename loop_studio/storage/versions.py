"""Versions: published LoRAs in a tree. Version 0 is the untouched base and always exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from loop_studio.errors import NotFound
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import keep_active, revision_of
from loop_studio.storage.promotion import make_live
from loop_studio.storage.refilling import refill_in
from loop_studio.storage.schema import Group, Project, Rater, Rating, Version, VersionFile
from loop_studio.storage.tree import Tree


def get(db: Database, version_id: str | None) -> Version:
    """One version, or NotFound."""
    with db.read() as session:
        return found(session, Version, version_id or "")


def by_number(db: Database, project_id: str, number: int) -> Version:
    """The version of this number, or NotFound."""
    with db.read() as session:
        found(session, Project, project_id)
        wanted = select(Version).where(Version.project_id == project_id, Version.number == number)
        version = session.scalars(wanted).one_or_none()
    if version is None:
        raise NotFound(f"There is no version {number} in this project.")
    return version


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
        keep_active(project)
        if project.live_version_id != version.id:
            make_live(session, project, version)
            refill_in(session, project, revision_of(session, project))
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
    if stored is None:
        raise NotFound(f"Version {version.number} has no {kind} file.")
    return stored


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


def none_shares(db: Database, project_id: str) -> dict[str, float]:
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
    return {version: nones[version] / total for version, total in totals.items()}


def list(db: Database, project_id: str) -> Sequence[Version]:
    """Every version of a project, oldest first."""
    with db.read() as session:
        found(session, Project, project_id)
        wanted = select(Version).where(Version.project_id == project_id).order_by(Version.number)
        return session.scalars(wanted).all()
