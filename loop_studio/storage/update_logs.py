"""What the worker said about an update: its last lines, for people at the pages."""

from __future__ import annotations

from collections.abc import Sequence

from loop_studio.storage.database import Database, found
from loop_studio.storage.schema import Update, UpdateLog


def record_log(db: Database, update_id: str, lines: Sequence[str]) -> None:
    """Keep the last lines that the worker said about an update."""
    with db.write() as session:
        session.merge(UpdateLog(update_id=update_id, lines=[*lines]))


def log_of(db: Database, update_id: str) -> list[str]:
    """The last lines that the worker said about an update, oldest first."""
    with db.read() as session:
        found(session, Update, update_id)
        said = session.get(UpdateLog, update_id)
        return said.lines if said else []
