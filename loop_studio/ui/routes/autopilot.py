"""Autopilot: updates one after another on rewards that need nobody."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from loop_studio.storage import autopilots, schema
from loop_studio.storage.autopilots import Budget
from loop_studio.ui.wire import Answer, Body, Db, Id, Nothing, Time

router = APIRouter(tags=["autopilot"])


class NewAutopilot(Body):
    """The budget: it ends at the first of these that is reached, and one must be given."""

    updates: int | None = None
    minutes: Annotated[float, Field(allow_inf_nan=False)] | None = None
    reward: Annotated[float, Field(allow_inf_nan=False)] | None = None


class Autopilot(Answer):
    """An autopilot; `reward` is the mean score of the groups that its last update learned from."""

    id: str
    state: Literal["running", "paused", "finished", "stopped"]
    most_updates: int | None
    most_minutes: float | None
    reward_goal: float | None
    updates: int
    minutes: float
    reward: float | None
    update_id: str | None
    sentence: str
    created_at: Time


class AutopilotState(Answer):
    """The newest autopilot of a project; null where none was ever started."""

    autopilot: Autopilot | None


@router.get("/projects/{id}/autopilot")
def get_autopilot(db: Db, id: Id) -> AutopilotState:
    """What autopilot does, or did last."""
    pilot = autopilots.latest(db, id)
    return AutopilotState(autopilot=_answer(pilot) if pilot else None)


@router.post("/projects/{id}/autopilot", status_code=201)
def start_autopilot(db: Db, id: Id, budget: NewAutopilot) -> Autopilot:
    """Update after update on the rewards in force, which must need nobody."""
    wanted = Budget(budget.updates, budget.minutes, budget.reward)
    return _answer(autopilots.start(db, id, wanted))


@router.post("/autopilots/{id}/pause")
def pause_autopilot(db: Db, id: Id, nothing: Nothing) -> Autopilot:
    """Queue no further update; the one that runs goes on. Repeatable."""
    return _answer(autopilots.pause(db, id))


@router.post("/autopilots/{id}/resume")
def resume_autopilot(db: Db, id: Id, nothing: Nothing) -> Autopilot:
    """Go on with what is left of the budget. Repeatable."""
    return _answer(autopilots.resume(db, id))


@router.post("/autopilots/{id}/stop")
def stop_autopilot(db: Db, id: Id, nothing: Nothing) -> Autopilot:
    """End it for good; the update that runs goes on. Repeatable."""
    return _answer(autopilots.stop(db, id))


def _answer(pilot: schema.Autopilot) -> Autopilot:
    return Autopilot(
        id=pilot.id,
        state=pilot.state,
        most_updates=pilot.most_updates,
        most_minutes=pilot.most_minutes,
        reward_goal=pilot.reward_goal,
        updates=pilot.updates,
        minutes=pilot.seconds / 60,
        reward=pilot.reward,
        update_id=pilot.update_id,
        sentence=pilot.sentence,
        created_at=pilot.created_at,
    )
