"""The tree of a project's versions: lines of descent, distances, and what is still there."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.errors import NotFound
from loop_studio.storage.database import found
from loop_studio.storage.schema import Version


class Tree:
    """Parents of every version of one project, deleted ones included, read once."""

    def __init__(self, session: Session, project_id: str) -> None:
        rows = session.execute(
            select(Version.id, Version.parent_id).where(Version.project_id == project_id)
        )
        self._parent: dict[str, str | None] = {row.id: row.parent_id for row in rows}

    def ids(self) -> list[str]:
        """Every version."""
        return list(self._parent)

    def line(self, version_id: str | None) -> list[str]:
        """A version, its parent, and so on to the base."""
        line = []
        while version_id is not None:
            line.append(version_id)
            version_id = self._parent[version_id]
        return line

    def distance(self, one: str, other: str) -> int:
        """Updates between two versions, through the last ancestor that they share."""
        steps = {version_id: step for step, version_id in enumerate(self.line(one))}
        for step, version_id in enumerate(self.line(other)):
            if version_id in steps:
                return step + steps[version_id]
        raise ValueError(f"versions {one} and {other} are not of one tree")


def present(session: Session, version_id: str, lock: bool = False) -> Version:
    """A version that is not deleted, or NotFound."""
    version = found(session, Version, version_id, lock)
    if version.deleted_at is not None:
        raise NotFound(f"Version {version.number} was deleted.", "version_deleted")
    return version


def numbered(session: Session, project_id: str, number: int) -> Version:
    """The version of this number, or NotFound."""
    wanted = select(Version).where(Version.project_id == project_id, Version.number == number)
    version = session.scalars(wanted).one_or_none()
    if version is None:
        raise NotFound(f"There is no version {number} in this project.")
    return present(session, version.id)
