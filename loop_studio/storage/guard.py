"""What the guard keeps back: versions that wait for someone's word, and why they do.

The guard's figures are in the versions' metrics, its sentences in `Version.concerns`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from loop_studio.guard import Figures
from loop_studio.storage import audit
from loop_studio.storage.content import plainly_shown
from loop_studio.storage.database import Database, found
from loop_studio.storage.groups import NewImage
from loop_studio.storage.projects import revision_of
from loop_studio.storage.schema import Image, Project, Samples, Version
from loop_studio.storage.tree import Tree

FIGURES = "guard"  # among a version's metrics
_PAIRS_SHOWN = 6


@dataclass(frozen=True)
class Checked:
    """What the guard says of a version that is about to be published."""

    pictures: Sequence[NewImage] = ()  # the start of its probe wall
    figures: Mapping[str, Any] | None = None  # of guard.Figures
    concerns: Sequence[str] = ()
    is_held: bool = False  # it does not go live by itself
    return_to: str | None = None  # id of the last healthy version, to go live instead


@dataclass(frozen=True)
class BeforeAfter:
    """One probe picture under two versions; None while it is not made."""

    prompt: str
    seed: int
    before: str | None  # image ids, of pictures that are neither withheld nor blurred
    after: str | None


@dataclass(frozen=True)
class Notice:
    """A version that someone must decide about, beside the one to stay with."""

    version: Version
    is_live: bool
    other: Version  # the live version, or, while the version itself is live, its last healthy one
    pictures: list[BeforeAfter]


def figures_of(version: Version) -> Figures:
    """What the guard measured on a version; it has `FIGURES` among its metrics."""
    return Figures.from_values(version.metrics[FIGURES])


def line(db: Database, version_id: str | None, most: int) -> list[Version]:
    """A version and its ancestors that the guard measured without a gap, oldest first."""
    with db.read() as session:
        start = found(session, Version, version_id or "")
        ids = Tree(session, start.project_id).line(start.id)[:most]
        rows = {row.id: row for row in session.scalars(select(Version).where(Version.id.in_(ids)))}
    measured = takewhile(lambda row: FIGURES in row.metrics, (rows[id] for id in ids))
    return [*measured][::-1]


def held(db: Database, project_id: str) -> set[str]:
    """Ids of the versions that were kept back until someone decides."""
    with db.read() as session:
        return {row.id for row in session.scalars(_awaiting(project_id))}


def notice(db: Database, project_id: str) -> Notice | None:
    """What someone must decide about, if anything."""
    with db.read() as session:
        project = found(session, Project, project_id)
        version = session.scalars(_awaiting(project_id)).first()
        if version is None:
            return None
        is_live = version.id == project.live_version_id
        other = _last_healthy(session, version) if is_live else project.live_version_id
        against = found(session, Version, other or "")
        return Notice(version, is_live, against, _beside(session, against, version))


def dismiss(db: Database, version_id: str) -> Version:
    """Leave what is live as it is; the notice goes. Repeatable."""
    with db.write() as session:
        version = found(session, Version, version_id, lock=True)
        if version.awaits_decision:
            decided = f"Left what is live as it is; version {version.number} waits no more."
            audit.note(session, "version", decided, version.project_id)
        version.awaits_decision = False
        return version


def holds(session: Session, project: Project) -> bool:
    """Whether a version is kept back until someone decides: no update starts by itself."""
    held = _awaiting(project.id).where(Version.id != project.live_version_id)
    return session.scalars(held).first() is not None


def _awaiting(project_id: str) -> Select[Version]:
    waiting = (Version.project_id == project_id, Version.awaits_decision)
    return select(Version).where(*waiting).order_by(Version.number.desc())


def _last_healthy(session: Session, version: Version) -> str:
    """The nearest ancestor without concerns."""
    ancestors = Tree(session, version.project_id).line(version.id)[1:]
    return next(id for id in ancestors if not found(session, Version, id).concerns)


def _beside(session: Session, before: Version, after: Version) -> list[BeforeAfter]:
    """The first picture of each prompt, as far as either version's probe wall goes."""
    old, new = _wall(session, before), _wall(session, after)
    cells: dict[str, tuple[str, int]] = {}
    for prompt, seed in (*old, *new):
        cells.setdefault(prompt, (prompt, seed))
    chosen = [*cells.values()][:_PAIRS_SHOWN]
    return [BeforeAfter(*cell, old.get(cell), new.get(cell)) for cell in chosen]


def _wall(session: Session, version: Version) -> dict[tuple[str, int], str]:
    of_probe = (Samples.version_id == version.id, Samples.kind == "probe")
    shown = plainly_shown(_rule(session, version.project_id))
    wanted = select(Image).join(Samples, Samples.id == Image.samples_id).where(*of_probe, *shown)
    images = session.scalars(wanted.order_by(Image.position))
    return {(image.prompt, image.seed): image.id for image in images}


def _rule(session: Session, project_id: str) -> str:
    return revision_of(session, found(session, Project, project_id)).config.content
