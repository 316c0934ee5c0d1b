"""What an update learns from: people, reward models, or both."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from loop_studio.errors import Invalid
from loop_studio.rewards.catalogue import CATALOGUE
from loop_studio.storage import projects
from loop_studio.storage.database import Database
from loop_studio.ui.wire import Answer, Body, Db, Id, Text

router = APIRouter(tags=["rewards"])

Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Weights(Body):
    """How much each source counts; a source left out counts nothing."""

    human: Weight = 0.0
    models: dict[Text, Weight] = Field(default_factory=dict)


class RewardWeights(Answer):
    """How much each source counts; every known reward model is named."""

    human: float
    models: dict[str, float]


class RewardModel(Answer):
    """An automatic reward, and whether it can be used."""

    name: str
    description: str
    available: bool
    reason: str


class RewardList(Answer):
    """Every automatic reward that this release knows."""

    rewards: list[RewardModel]


@router.get("/rewards")
def list_rewards() -> RewardList:
    """The automatic rewards, and why one cannot be used on this machine."""
    entries = [(entry, entry.unavailable()) for entry in CATALOGUE]
    return RewardList(
        rewards=[
            RewardModel(
                name=entry.name, description=entry.description, available=not reason, reason=reason
            )
            for entry, reason in entries
        ]
    )


@router.get("/projects/{id}/reward")
def get_reward(db: Db, id: Id) -> RewardWeights:
    """The weights in force."""
    projects.get(db, id)
    return _answer(db, id)


@router.put("/projects/{id}/reward")
def set_reward(db: Db, id: Id, weights: Weights) -> RewardWeights:
    """Swap between people and automatic rewards, or mix them."""
    projects.get(db, id)
    _check(weights)
    projects.set_reward(db, id, projects.RewardWeights(weights.human, weights.models))
    return _answer(db, id)


def _check(weights: Weights) -> None:
    known = {entry.name: entry for entry in CATALOGUE}
    for name, weight in weights.models.items():
        if name not in known:
            names = ", ".join(known)
            raise Invalid(f"There is no reward model {name[:80]!r}; there is: {names}.")
        if weight > 0 and (reason := known[name].unavailable()):
            raise Invalid(f"The reward model {name} cannot be used here: {reason}")
    if weights.human == 0 and not any(weights.models.values()):
        raise Invalid("human or one of models must have a weight above 0.")


def _answer(db: Database, project_id: str) -> RewardWeights:
    weights = projects.reward(db, project_id)
    models = {entry.name: weights.models.get(entry.name, 0.0) for entry in CATALOGUE}
    return RewardWeights(human=weights.human, models={**models, **weights.models})
