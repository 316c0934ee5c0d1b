"""Deleting a version with its files. Its row stays, for the groups and updates that name it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict
from loop_studio.storage import audit
from loop_studio.storage.auto_update import active_update
from loop_studio.storage.database import Database, batched, changed, found
from loop_studio.storage.files import FileStore
from loop_studio.storage.keeping import kept_again, learned_by
from loop_studio.storage.schema import (
    ACTIVE,
    Favourite,
    Group,
    Image,
    Job,
    Project,
    Samples,
    Score,
    Version,
    VersionFile,
    now,
)
from loop_studio.storage.tree import present
from loop_studio.storage.worth import refresh

_RETIRED = "Version {number}, which made the group, was deleted."


def delete_version(db: Database, files: FileStore, version_id: str) -> int:
    """Delete a version: its LoRA files, its sample pictures, what its unused groups could teach.

    Returns the bytes freed. Raises Conflict for the base, the live version, one with children, a
    pinned one, and one that an update or a version kept for training again needs.
    """
    with db.write() as session:
        project_id = present(session, version_id).project_id
        project = found(session, Project, project_id, lock=True)
        version = present(session, version_id, lock=True)
        _refuse_standing(session, project, version)
        _refuse_needed(session, version)
        freed = dict([*_lora_files(session, version), *_pictures(session, version)])
        freed |= dict(_retire_groups(session, version))
        freed |= dict(_end_jobs(session, version))
        version.deleted_at = now()
        version.awaits_pairs = version.awaits_decision = False
        audit.note(session, "version", f"Deleted version {version.number}.", project_id)
    for key in freed:  # after the commit: a crash between leaves files that no row names
        files.delete(key)
    return sum(freed.values())


def _refuse_standing(session: Session, project: Project, version: Version) -> None:
    number = version.number
    if number == 0:
        raise Conflict("Version 0 is the untouched base model and always stays.", "version_is_base")
    if project.live_version_id == version.id:
        raise Conflict(
            f"Version {number} is live; make another version live first.", "version_is_live"
        )
    if version.pinned:
        raise Conflict(f"Version {number} is pinned; take the pin off first.", "version_is_pinned")
    children = (Version.parent_id == version.id, Version.deleted_at.is_(None))
    grown = session.scalars(select(Version.number).where(*children).order_by(Version.number)).all()
    if grown:
        names = "version " if len(grown) == 1 else "versions "
        raise Conflict(
            f"From version {number} grew {names}{' and '.join(map(str, grown))}; "
            "delete what grew from it first.",
            "version_has_children",
        )


def _refuse_needed(session: Session, version: Version) -> None:
    running = active_update(session, version.project_id)
    if running is not None and (
        running.parent_id == version.id or _drew_for(session, version, [running.id])
    ):
        raise Conflict(
            f"Update {running.number} is {running.status} and needs version {version.number}; "
            "wait for it, or cancel it.",
            "version_in_use",
        )
    for other, update_ids in kept_again(session, version.project_id):
        if other.id != version.id and _drew_for(session, version, update_ids):
            raise Conflict(
                f"Version {version.number} drew pictures that version {other.number} learned from, "
                f"and version {other.number} is kept for training again; take that mark off first.",
                "version_is_kept",
            )


def _drew_for(session: Session, version: Version, update_ids: Sequence[str]) -> bool:
    drawn = select(Group.id).where(Group.version_id == version.id, learned_by(update_ids))
    return session.scalar(drawn.limit(1)) is not None


def _lora_files(session: Session, version: Version) -> Iterator[tuple[str, int]]:
    for row in session.scalars(select(VersionFile).where(VersionFile.version_id == version.id)):
        yield row.key, row.size
        session.delete(row)


def _pictures(session: Session, version: Version) -> Iterator[tuple[str, int]]:
    """Pictures of samples; those of groups are what raters judged, and stay."""
    samples = select(Samples.id).where(Samples.version_id == version.id)
    images = select(Image.id).where(Image.samples_id.in_(samples))
    files = select(Image.key, Image.size).where(Image.samples_id.in_(samples))
    yield from ((row.key, row.size) for row in session.execute(files))
    changed(session, delete(Score).where(Score.image_id.in_(images)))
    changed(session, delete(Favourite).where(Favourite.image_id.in_(images)))
    changed(session, delete(Image).where(Image.samples_id.in_(samples)))


def _retire_groups(session: Session, version: Version) -> Iterator[tuple[str, int]]:
    """Groups that no update has used can no longer be replayed: they teach nothing from now on."""
    mine: ColumnElement[bool] = or_(Group.version_id == version.id, Group.opponent_id == version.id)
    unused = select(Group).where(mine, Group.used_by_update_id.is_(None))
    groups = session.scalars(unused).all()
    for group in groups:
        group.retired_reason = _RETIRED.format(number=version.number)
        if group.trajectory_key is not None:
            yield group.trajectory_key, group.trajectory_size or 0
            group.trajectory_key = None
    for some in batched(groups):
        refresh(session, *some)


def _end_jobs(session: Session, version: Version) -> Iterator[tuple[str, int]]:
    """Whatever waits to use it is cancelled, what runs stops at its next step; packed files go."""
    named = select(Job).where(
        Job.project_id == version.project_id, Job.kind.in_(("samples", "export"))
    )
    asked = set(session.scalars(select(Samples.id).where(Samples.version_id == version.id)))
    for job in session.scalars(named.with_for_update()):
        payload = job.payload
        about = (payload.get("version_id"), payload.get("opponent_id"))
        if version.id not in about and payload.get("samples_id") not in asked:
            continue
        if job.state in ACTIVE:
            job.cancel_requested = True
        if job.state == "queued":
            job.state, job.finished_at = "cancelled", now()
        if file := payload.get("file"):
            yield file["key"], file["size"]
            job.payload = {name: value for name, value in payload.items() if name != "file"}
    changed(session, update(Samples).where(Samples.id.in_(asked)).values(status="cancelled"))
