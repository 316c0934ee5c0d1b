"""The reward that is learned from a project's ratings: what it knows, and whether it counts."""

from __future__ import annotations

from fastapi import APIRouter

from loop_studio.judgement import LEARNED, LEARNED_BAR, too_few_to_learn
from loop_studio.storage import learned, projects
from loop_studio.storage.database import Database
from loop_studio.ui.wire import Answer, Db, Id, Nothing, Time

router = APIRouter(tags=["rewards"])


class Bin(Answer):
    """Pairs about which it was about as sure: how sure, and how often it was right, 0 to 1."""

    sure: float
    right: float
    pairs: int


class LearnedReward(Answer):
    """The fit in force, measured on groups it had not seen; null where there is none.

    `accuracy` is the share of pairs that it orders as the rater did, with a 95 % interval; it
    counts once `bound`, the lower one-sided 80 % bound, is above `bar`. `sentence` says what is
    missing; `setback` why what arrived since could not be learned from.
    """

    version: str | None
    ratings: int
    groups: int
    new_ratings: int
    held_out: int
    accuracy: float | None
    low: float | None
    high: float | None
    bound: float | None
    bar: float
    bins: list[Bin]
    contributes: bool
    sentence: str
    setback: str
    learning: bool
    weight: float
    learned_at: Time | None


@router.get("/projects/{id}/learned")
def get_learned(db: Db, id: Id) -> LearnedReward:
    """What was learned from the ratings, and how far it may be believed."""
    return _answer(db, id)


@router.post("/projects/{id}/learned/fit", status_code=202)
def learn_now(db: Db, id: Id, nothing: Nothing) -> LearnedReward:
    """Learn anew from all ratings, as happens by itself every few ratings."""
    learned.ask_now(db, id)
    return _answer(db, id)


def _answer(db: Database, project_id: str) -> LearnedReward:
    view = learned.view(db, project_id)
    measured = view.fit.validation if view.fit else {}
    return LearnedReward(
        version=f"fit-{view.fit.number}" if view.fit else None,
        ratings=view.fit.ratings if view.fit else 0,
        groups=view.fit.groups if view.fit else view.judged_groups,
        new_ratings=view.waiting,
        held_out=measured.get("held_out", 0),
        accuracy=measured.get("accuracy"),
        low=measured.get("low"),
        high=measured.get("high"),
        bound=measured.get("bound"),
        bar=LEARNED_BAR,
        bins=measured.get("bins", []),
        contributes=view.fit is not None and view.fit.contributes,
        sentence=_sentence(view),
        setback=view.setback if view.fit else "",
        learning=view.learning,
        weight=projects.reward(db, project_id).models.get(LEARNED, 0.0),
        learned_at=view.fit.created_at if view.fit else None,
    )


def _sentence(view: learned.View) -> str:
    """What is missing; while nothing is learned, counted anew rather than as it was."""
    if view.fit is not None:
        return view.fit.sentence
    return too_few_to_learn(view.judged_groups) or view.setback
