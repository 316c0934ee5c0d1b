"""Updates: one training from version to version, asked for here and run by the worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from loop_studio.storage import guard, promotion, schema, updates, versions
from loop_studio.storage.database import Database
from loop_studio.storage.forecast import forecast
from loop_studio.ui.failures import UpdateError, failure
from loop_studio.ui.wire import Answer, Db, Id, Nothing, Time

router = APIRouter(tags=["updates"])

State = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]


class Pairs(Answer):
    """Blind pairs of a version that goes live once they prefer it, and when they are counted."""

    judged: int
    next_look: int


class Update(Answer):
    """An update, its progress, and the version it made.

    `awaits_pairs` is null unless that version waits for blind pairs before it goes live;
    `awaits_decision` says that the guard kept it back until someone decides.
    """

    id: str
    number: int
    status: State
    cancel_requested: bool
    requested: Literal["pause", "stop"] | None
    phase: str
    step: int
    steps: int
    eta_s: float | None
    optimizer_steps: int
    samples_per_s: float | None
    memory_bytes: int | None
    accelerator_bytes: int | None
    groups: int
    ratings: int
    late_groups: int
    lag: int
    staleness_nats: float
    version_id: str | None
    version: int | None
    made_live: bool
    awaits_pairs: Pairs | None
    awaits_decision: bool
    error: UpdateError | None
    notice: str | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class UpdateForecast(Answer):
    """What an update that starts now would use; seconds and bytes go by those before it."""

    from_version: int
    groups: int
    ratings: int
    left_over: int
    to_make: int
    past_updates: int
    seconds: float | None
    memory_bytes: int | None
    accelerator_bytes: int | None


class UpdateLog(Answer):
    """The last lines that the worker said about an update, oldest first."""

    lines: list[str]


class UpdateList(Answer):
    """Updates, oldest first."""

    updates: list[Update]


@router.post("/projects/{id}/updates", status_code=202)
def fine_tune_now(db: Db, id: Id, nothing: Nothing) -> Update:
    """Queue an update of the live version with every usable group that waits."""
    return _answer(updates.create(db, id), {}, updates.Lateness())


@router.get("/projects/{id}/updates/next")
def next_update(db: Db, id: Id) -> UpdateForecast:
    """What Fine-tune now would use, and about how long it would take."""
    return UpdateForecast.model_validate(forecast(db, id))


@router.get("/projects/{id}/updates")
def list_updates(
    db: Db,
    id: Id,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 500,
    before: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> UpdateList:
    """The newest updates, or those before a number."""
    rows = updates.list(db, id, limit, before)
    numbers = versions.numbers(db, id)
    late = updates.lateness(db, [row.id for row in rows])
    on_time, waiting, held = updates.Lateness(), promotion.waiting(db, id), guard.held(db, id)
    answers = [_answer(row, numbers, late.get(row.id, on_time), waiting, held) for row in rows]
    return UpdateList(updates=answers)


@router.get("/updates/{id}")
def get_update(db: Db, id: Id) -> Update:
    """One update."""
    return _with_version(db, updates.get(db, id))


@router.post("/updates/{id}/cancel", status_code=202)
def cancel_update(db: Db, id: Id, nothing: Nothing) -> Update:
    """Ask an update to stop after its step; nothing it used is lost."""
    return _with_version(db, updates.cancel(db, id))


@router.post("/updates/{id}/pause", status_code=202)
def pause_update(db: Db, id: Id, nothing: Nothing) -> Update:
    """Let an update wait; resumed, it starts over from its recorded inputs, to the same result."""
    return _with_version(db, updates.pause(db, id))


@router.post("/updates/{id}/resume", status_code=202)
def resume_update(db: Db, id: Id, nothing: Nothing) -> Update:
    """Let a paused update run again."""
    return _with_version(db, updates.resume(db, id))


@router.post("/updates/{id}/stop", status_code=202)
def stop_update(db: Db, id: Id, nothing: Nothing) -> Update:
    """End an update now, with a version of what it has learned so far."""
    return _with_version(db, updates.stop(db, id))


@router.get("/updates/{id}/log")
def update_log(db: Db, id: Id) -> UpdateLog:
    """The last lines that the worker said about an update."""
    return UpdateLog(lines=updates.log_of(db, id))


def _with_version(db: Database, row: schema.Update) -> Update:
    made = row.version_id
    numbers = {made: versions.get(db, made).number} if made else {}
    late = updates.lateness(db, [row.id]).get(row.id, updates.Lateness())
    if not made:
        return _answer(row, numbers, late)
    waiting, held = promotion.waiting(db, row.project_id), guard.held(db, row.project_id)
    return _answer(row, numbers, late, waiting, held)


def _answer(
    row: schema.Update,
    numbers: Mapping[str, int],
    late: updates.Lateness,
    waiting: Mapping[str, promotion.Waiting] = MappingProxyType({}),
    held: Collection[str] = (),
) -> Update:
    return Update.model_validate(
        {
            "id": row.id,
            "number": row.number,
            "status": row.status,
            "cancel_requested": row.cancel_requested,
            "requested": row.requested,
            "phase": row.phase,
            "step": row.step,
            "steps": row.steps,
            "eta_s": row.eta_s,
            "optimizer_steps": row.optimizer_steps,
            "samples_per_s": row.samples_per_s,
            "memory_bytes": row.memory_bytes,
            "accelerator_bytes": row.accelerator_bytes,
            "groups": row.group_count,
            "ratings": row.rating_count,
            "late_groups": late.groups,
            "lag": late.lag,
            "staleness_nats": late.staleness,
            "version_id": row.version_id,
            "version": numbers.get(row.version_id) if row.version_id else None,
            "made_live": row.made_live,
            "awaits_pairs": waiting.get(row.version_id or ""),
            "awaits_decision": row.version_id in held,
            "error": failure(row.error_code, row.error_detail),
            "notice": row.notice,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
        }
    )
