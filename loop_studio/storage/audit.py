"""Who changed what: one line per change, written in the transaction of the change itself.

`acting` says on whose behalf the code within it runs; whoever signs people in wraps each request in
it. The clock and the worker act as the studio itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database
from loop_studio.storage.schema import AuditEntry, Project, Rater

Action = Literal["project", "settings", "reward", "prompts", "version", "update", "rater", "import"]
LOCAL = "local"  # whoever uses a studio that asks nobody to sign in
STUDIO = "studio"  # the studio by itself
LISTED = 100
_LONGEST = 2000  # characters of a sentence

_actor: ContextVar[str] = ContextVar("actor", default=LOCAL)


@dataclass(frozen=True)
class Entry:
    """One line of the log. `project` and `rater` are names; None once they are gone."""

    id: int
    actor: str
    action: str
    sentence: str
    project_id: str | None
    project: str | None
    rater: str | None
    created_at: datetime


@contextmanager
def acting(name: str) -> Iterator[None]:
    """Changes within this block are `name`'s."""
    token = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(token)


def note(
    session: Session,
    action: Action,
    sentence: str,
    project_id: str | None = None,
    rater_id: str | None = None,
) -> None:
    """Write down a change, in its own transaction. A rater's name never stands in `sentence`."""
    session.add(
        AuditEntry(
            actor=_actor.get(),
            action=action,
            sentence=sentence[:_LONGEST],
            project_id=project_id,
            rater_id=rater_id,
        )
    )


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What is changed, as a sentence: `Changed group_size from 4 to 6, overlap from 1 to 2.`"""
    changes = [
        f"{name} from {json.dumps(before.get(name))} to {json.dumps(value)}"
        for name, value in after.items()
        if before.get(name) != value
    ]
    return f"Changed {', '.join(changes)}."


def entries(
    db: Database,
    project_id: str | None = None,
    action: Action | None = None,
    actor: str | None = None,
    before: int | None = None,
    limit: int = LISTED,
) -> tuple[list[Entry], bool]:
    """The newest changes that match, newest first, and whether there are older ones."""
    columns = (AuditEntry, Project.name, Rater.name)
    wanted = (
        select(*columns)
        .outerjoin(Project, Project.id == AuditEntry.project_id)
        .outerjoin(Rater, (Rater.id == AuditEntry.rater_id) & Rater.removed_at.is_(None))
        .order_by(AuditEntry.id.desc())
        .limit(limit + 1)
    )
    given = {
        AuditEntry.project_id: project_id,
        AuditEntry.action: action,
        AuditEntry.actor: actor,
    }
    for column, value in given.items():
        if value is not None:
            wanted = wanted.where(column == value)
    if before is not None:
        wanted = wanted.where(AuditEntry.id < before)
    with db.read() as session:
        rows = session.execute(wanted).all()
    told = [
        Entry(
            id=row.id,
            actor=row.actor,
            action=row.action,
            sentence=row.sentence,
            project_id=row.project_id,
            project=project,
            rater=rater,
            created_at=row.created_at,
        )
        for row, project, rater in rows[:limit]
    ]
    return told, len(rows) > limit
