"""Which files rows name: every other file may go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database
from loop_studio.storage.files import StoredFile
from loop_studio.storage.schema import ACTIVE, Group, Image, Job, RewardFit, VersionFile, now

KEPT = timedelta(days=7)  # of a finished export
_COLUMNS: tuple[tuple[Any, Any, Any], ...] = (
    (Image.key, Image.sha256, Image.size),
    (VersionFile.key, VersionFile.sha256, VersionFile.size),
    (Group.trajectory_key, Group.trajectory_sha256, Group.trajectory_size),
    (RewardFit.key, RewardFit.sha256, RewardFit.size),
)
UPLOADS = ("import_lora", "import_project")  # what was sent stays until its job has ended


def keys(db: Database) -> set[str]:
    """Every key that a row names."""
    with db.read() as session:
        named = {file.key for file in files(session)}
        trials = select(Job.payload).where(Job.kind == "score", Job.state.in_(ACTIVE))
        for payload in session.scalars(trials):
            named.update(image["key"] for image in payload.get("images", ()))
        return named


def files(session: Session) -> Iterator[StoredFile]:
    """Every file that rows name for longer than a trial takes, once."""
    seen = set()
    for columns in _COLUMNS:
        for row in session.execute(select(*columns).where(columns[0].is_not(None))):
            if row[0] not in seen:  # a repeat's pictures are its original's
                seen.add(row[0])
                yield StoredFile(row[0], row[1], row[2])
    for file in job_files(session):
        yield StoredFile(file["key"], file["sha256"], file["size"])


def job_files(session: Session, *of: ColumnElement[bool]) -> Iterator[dict[str, Any]]:
    """Files that jobs hold: `{key, sha256, size}` of uploads that wait and of recent exports."""
    uploads = and_(Job.kind.in_(UPLOADS), Job.state.in_(ACTIVE))
    exports = and_(Job.kind == "export", Job.finished_at > now() - KEPT)
    for payload in session.scalars(select(Job.payload).where(or_(uploads, exports), *of)):
        file = payload.get("file") or payload
        if "key" in file:
            yield file
