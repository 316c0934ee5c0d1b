"""Rating events that come back from a file: the same rules as for a gesture, many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.errors import NotFound, Refused
from loop_studio.storage import audit, ratings
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import revision_of
from loop_studio.storage.schema import Group, Project

# One transaction's worth: a rater who sends a gesture meanwhile waits for no more than this.
AT_ONCE = 100

Outcome = Literal["added", "known"] | Refused


@dataclass(frozen=True)
class PastRating:
    """An event as it was exported: with its state and, where it is told, the time of its arrival.

    An event that was superseded or undone is stored as such, and touches no other event.
    """

    rating: ratings.RatingIn
    status: str
    created_at: datetime | None


def take_in(
    db: Database, project_id: str, events: Sequence[PastRating], dry_run: bool = False
) -> list[Outcome]:
    """Store up to AT_ONCE events of one project in one transaction; what became of each.

    An event that is known with the same content stays as it is, its state included, so the same
    file twice changes nothing. With `dry_run` nothing is kept.
    """
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        asked = {event.rating.group_id for event in events}
        here = select(Group).where(Group.project_id == project_id, Group.id.in_(asked))
        groups = {group.id: group for group in session.scalars(here)}
        outcomes = [_take(session, groups, event) for event in events]
        if "added" in outcomes and not dry_run:
            count = outcomes.count("added")
            told = "Imported 1 rating." if count == 1 else f"Imported {count} ratings."
            audit.note(session, "import", told, project_id)
            ratings.look_after(session, project, revision_of(session, project))
        if dry_run:
            session.rollback()
    return outcomes


def _take(session: Session, groups: Mapping[str, Group], event: PastRating) -> Outcome:
    try:
        if event.rating.group_id not in groups:
            raise NotFound(f"There is no group {event.rating.group_id} in this project.")
        _, is_new = ratings.store(session, event.rating, event.status, event.created_at)
    except Refused as refusal:
        return refusal
    return "added" if is_new else "known"
