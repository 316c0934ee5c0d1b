"""The tree of a project's versions: lines of descent and distances."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.storage.schema import Version


class Tree:
    """Parents of every version of one project, read once."""

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
