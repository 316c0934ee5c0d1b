"""What an update learns from: people, reward models, or both."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from loop_studio.errors import Invalid
from loop_studio.rewards.catalogue import CATALOGUE, RewardEntry, entry
from loop_studio.settings import Settings
from loop_studio.storage import projects, scoring
from loop_studio.storage.database import Database
from loop_studio.ui.failures import UpdateError, failure
from loop_studio.ui.routes.updates import State
from loop_studio.ui.wire import Answer, Body, Configured, Db, Id, Text

router = APIRouter(tags=["rewards"])

Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Parameters = dict[Text, dict[Text, Text]]


class Weights(Body):
    """How much each source counts; a source left out counts nothing.

    `parameters` are those of the reward models, by name; left out, they stay as they are.
    """

    human: Weight = 0.0
    models: dict[Text, Weight] = Field(default_factory=dict)
    parameters: Parameters | None = None


class RewardWeights(Answer):
    """How much each source counts; every known reward model is named."""

    human: float
    models: dict[str, float]
    parameters: dict[str, dict[str, str]]


class RewardParameter(Answer):
    """Something that a project may set about a reward model."""

    name: str
    title: str
    help: str
    default: str
    long: bool


class RewardModel(Answer):
    """An automatic reward, and whether it can be used with its default parameters."""

    name: str
    description: str
    available: bool
    reason: str
    title: str
    range: str
    cost: str
    memory: str
    licence: str
    note: str
    groupwise: bool
    parameters: list[RewardParameter]


class RewardList(Answer):
    """Every automatic reward that this release knows."""

    rewards: list[RewardModel]


class Scoring(Answer):
    """How far the project's groups are scored by the rewards that were added last."""

    status: State | None
    sources: list[str]
    step: int
    steps: int
    error: UpdateError | None


@router.get("/rewards")
def list_rewards(settings: Configured) -> RewardList:
    """The automatic rewards, and why one cannot be used on this machine."""
    return RewardList(rewards=[_model(settings, one, {}) for one in CATALOGUE])


@router.get("/projects/{id}/rewards")
def list_project_rewards(db: Db, settings: Configured, id: Id) -> RewardList:
    """The automatic rewards, each with the parameters that this project gives it."""
    projects.get(db, id)
    given = projects.reward(db, id).parameters
    models = [_model(settings, one, given.get(one.name, {})) for one in CATALOGUE]
    return RewardList(rewards=models)


@router.get("/projects/{id}/reward")
def get_reward(db: Db, id: Id) -> RewardWeights:
    """The weights in force."""
    projects.get(db, id)
    return _answer(db, id)


@router.put("/projects/{id}/reward")
def set_reward(db: Db, settings: Configured, id: Id, weights: Weights) -> RewardWeights:
    """Swap between people and automatic rewards, or mix them."""
    projects.get(db, id)
    kept = projects.reward(db, id).parameters
    projects.set_reward(db, id, checked(settings, weights, kept))
    return _answer(db, id)


@router.get("/projects/{id}/reward/scoring")
def get_scoring(db: Db, id: Id) -> Scoring:
    """How far the groups that were there before are scored."""
    job = scoring.latest(db, id)
    if job is None:
        return Scoring(status=None, sources=[], step=0, steps=0, error=None)
    sources = projects.revision(db, job.payload["revision_id"]).reward.sources()
    return Scoring(
        status=job.state,
        sources=[*sources],
        step=job.step,
        steps=job.steps,
        error=failure(job.error_code, job.error_detail),
    )


def known_model(name: str) -> RewardEntry:
    """The reward model of a name, or Invalid with the names there are."""
    known = entry(name)
    if known is None:
        names = ", ".join(one.name for one in CATALOGUE)
        raise Invalid(f"There is no reward model {name[:80]!r}; there is: {names}.")
    return known


def checked(settings: Settings, weights: Weights, kept: Parameters) -> projects.RewardWeights:
    """The weights as they are stored; raises Invalid for sources that cannot be used here.

    Parameters that are left out stay as they were `kept`.
    """
    parameters = {**kept, **(weights.parameters or {})}
    for name, values in parameters.items():
        known_model(name).check(values)
    for name, weight in weights.models.items():
        known = known_model(name)
        reason = known.fault(settings, parameters.get(name, {})) if weight > 0 else ""
        if reason:
            raise Invalid(f"The reward model {name} cannot be used here: {reason}")
    if weights.human == 0 and not any(weights.models.values()):
        raise Invalid("human or one of models must have a weight above 0.")
    return projects.RewardWeights(weights.human, weights.models, parameters)


def _model(settings: Settings, known: RewardEntry, values: dict[str, str]) -> RewardModel:
    reason = known.fault(settings, values)
    return RewardModel(
        name=known.name,
        description=known.description,
        available=not reason,
        reason=reason,
        title=known.title,
        range=known.range,
        cost=known.cost,
        memory=known.memory,
        licence=known.licence,
        note="" if reason else known.note(settings, values),
        groupwise=known.groupwise,
        parameters=[RewardParameter.model_validate(one) for one in known.parameters],
    )


def _answer(db: Database, project_id: str) -> RewardWeights:
    weights = projects.reward(db, project_id)
    models = {one.name: weights.models.get(one.name, 0.0) for one in CATALOGUE}
    return RewardWeights(
        human=weights.human,
        models={**models, **weights.models},
        parameters={
            one.name: one.filled(weights.parameters.get(one.name, {}))
            for one in CATALOGUE
            if one.parameters
        },
    )
