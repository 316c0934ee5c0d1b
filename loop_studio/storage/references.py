"""Which files rows name: every other file may go."""

from __future__ import annotations

from sqlalchemy import select

from loop_studio.storage.database import Database
from loop_studio.storage.schema import ACTIVE, Group, Image, Job, VersionFile


def keys(db: Database) -> set[str]:
    """Every key that a row names."""
    with db.read() as session:
        named = set(session.scalars(select(Image.key)))
        named.update(session.scalars(select(VersionFile.key)))
        named.update(key for key in session.scalars(select(Group.trajectory_key)) if key)
        waiting = select(Job.payload).where(Job.kind == "import_lora", Job.state.in_(ACTIVE))
        named.update(payload["key"] for payload in session.scalars(waiting))
        return named
