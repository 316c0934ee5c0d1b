"""Updates: one training from version to version, asked for here and run by the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from loop_studio.storage import schema, updates, versions
from loop_studio.storage.database import Database
from loop_studio.ui.wire import Answer, Db, Id, Nothing, Time

router = APIRouter(tags=["updates"])

State = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]


class UpdateError(Answer):
    """Why an update failed."""

    code: str
    detail: str


class Update(Answer):
    """An update, its progress, and the version it made."""

    id: str
    number: int
    status: State
    cancel_requested: bool
    phase: str
    step: int
    steps: int
    eta_s: float | None
    groups: int
    ratings: int
    late_groups: int
    lag: int
    staleness_nats: float
    version_id: str | None
    version: int | None
    made_live: bool
    error: UpdateError | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class UpdateList(Answer):
    """Updates, oldest first."""

    updates: list[Update]


@router.post("/projects/{id}/updates", status_code=202)
def fine_tune_now(db: Db, id: Id, nothing: Nothing) -> Update:
    """Queue an update of the live version with every usable group that waits."""
    return _answer(updates.create(db, id), {}, updates.Lateness())


@router.get("/projects/{id}/updates")
def list_updates(
    db: Db,
    id: Id,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 500,
    before: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> UpdateList:
    """The newest updates, or those before a number."""
    rows = updates.list(db, id, limit, before)
    numbers = {version.id: version.number for version in versions.list(db, id)}
    late = updates.lateness(db, [row.id for row in rows])
    on_time = updates.Lateness()
    answers = [_answer(row, numbers, late.get(row.id, on_time)) for row in rows]
    return UpdateList(updates=answers)


@router.get("/updates/{id}")
def get_update(db: Db, id: Id) -> Update:
    """One update."""
    return _with_version(db, updates.get(db, id))


@router.post("/updates/{id}/cancel", status_code=202)
def cancel_update(db: Db, id: Id, nothing: Nothing) -> Update:
    """Ask an update to stop after its step; nothing it used is lost."""
    return _with_version(db, updates.cancel(db, id))


def _with_version(db: Database, row: schema.Update) -> Update:
    made = row.version_id
    numbers = {made: versions.get(db, made).number} if made else {}
    late = updates.lateness(db, [row.id]).get(row.id, updates.Lateness())
    return _answer(row, numbers, late)


def _answer(row: schema.Update, numbers: Mapping[str, int], late: updates.Lateness) -> Update:
    error = {"code": row.error_code, "detail": row.error_detail} if row.error_code else None
    return Update.model_validate(
        {
            "id": row.id,
            "number": row.number,
            "status": row.status,
            "cancel_requested": row.cancel_requested,
            "phase": row.phase,
            "step": row.step,
            "steps": row.steps,
            "eta_s": row.eta_s,
            "groups": row.group_count,
            "ratings": row.rating_count,
            "late_groups": late.groups,
            "lag": late.lag,
            "staleness_nats": late.staleness,
            "version_id": row.version_id,
            "version": numbers.get(row.version_id) if row.version_id else None,
            "made_live": row.made_live,
            "error": error,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
        }
    )
