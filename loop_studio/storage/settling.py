"""Closing the update or the samples that a job stood for, in the job's own transaction."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from loop_studio.storage.database import changed, found
from loop_studio.storage.schema import ACTIVE, Group, Project, Rating, Samples, Update, now
from loop_studio.storage.worth import refresh


def settle_update(
    session: Session, update_id: str, state: str, code: str | None, detail: str | None
) -> None:
    """End an update that made no version, and give its groups and ratings back."""
    ending = session.get(Update, update_id, with_for_update=True)
    if ending is None or ending.status not in ACTIVE:
        return
    ending.status, ending.finished_at, ending.eta_s = state, now(), None
    ending.requested = None
    ending.error_code, ending.error_detail = code, detail
    found(session, Project, ending.project_id, lock=True)
    _release(session, update_id)


def unstart_update(session: Session, update_id: str, status: str) -> None:
    """An update that runs no more and has not ended: it will start over from what it recorded."""
    waiting = session.get(Update, update_id, with_for_update=True)
    if waiting is None or waiting.status not in ACTIVE:
        return
    waiting.status, waiting.phase, waiting.eta_s = status, "waiting", None
    waiting.step = waiting.steps = waiting.optimizer_steps = 0
    waiting.samples_per_s = waiting.memory_bytes = waiting.accelerator_bytes = None


def settle_samples(session: Session, samples_id: str | None, state: str) -> None:
    """Samples end as their job ended."""
    changed(session, update(Samples).where(Samples.id == samples_id).values(status=state))


def _release(session: Session, update_id: str) -> None:
    used = Rating.used_by_update_id == update_id
    changed(session, update(Rating).where(used).values(used_by_update_id=None))
    for group in session.scalars(select(Group).where(Group.used_by_update_id == update_id)):
        group.used_by_update_id = None
        session.flush()
        refresh(session, group)
