"""Raters: how each of them judges, how far they agree, and whom the studio learns from."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from loop_studio.shares import Share
from loop_studio.storage import raters, reliability
from loop_studio.ui.wire import Answer, Body, Db, Id

router = APIRouter(tags=["raters"])


class Interval(Answer):
    """A share of `n` observations, 0 to 1, with Wilson's interval at 95 %."""

    value: float
    low: float
    high: float
    n: int


class Rater(Answer):
    """One rater; a share is null while nothing stands behind it."""

    id: str
    name: str
    excluded: bool
    ratings: int
    pace_s: float | None
    self_consistency: Interval | None
    agreement: Interval | None


class RaterList(Answer):
    """Raters in order of arrival."""

    raters: list[Rater]


class RaterChange(Body):
    """Whom the studio learns from."""

    excluded: bool


class Measure(Answer):
    """Krippendorff's alpha; null below `least_groups` groups, or while all judge alike."""

    name: Literal["best_picture", "stars", "rank", "good"]
    level: Literal["nominal", "ordinal"]
    alpha: float | None
    groups: int


class Agreement(Answer):
    """How far the raters who are not excluded agree, over groups that two or more have judged."""

    best_picture: Interval | None
    measures: list[Measure]
    least_groups: int


@router.get("/projects/{id}/raters")
def list_raters(db: Db, id: Id) -> RaterList:
    """Everyone who ever judged here."""
    return RaterList(raters=[_answer(view) for view in reliability.of_raters(db, id)])


@router.patch("/projects/{id}/raters/{rater_id}")
def change_rater(db: Db, id: Id, rater_id: Id, change: RaterChange) -> Rater:
    """Exclude a rater, or learn from them again: their ratings stay and are weighed anew."""
    raters.exclude(db, id, rater_id, change.excluded)
    return _answer(reliability.of_rater(db, id, rater_id))


@router.get("/projects/{id}/agreement")
def agreement(db: Db, id: Id) -> Agreement:
    """Agreement between raters, with the number of groups behind each figure."""
    found = reliability.agreement(db, id)
    return Agreement(
        best_picture=interval(found.best_picture),
        measures=[Measure.model_validate(measure) for measure in found.measures],
        least_groups=reliability.LEAST_GROUPS,
    )


def interval(share: Share) -> Interval | None:
    """A share as it is answered; None for a share of nothing."""
    if not share.total:
        return None
    low, high = share.interval()
    return Interval(value=share.value, low=low, high=high, n=share.total)


def _answer(view: reliability.RaterView) -> Rater:
    return Rater(
        id=view.id,
        name=view.name,
        excluded=view.excluded,
        ratings=view.ratings,
        pace_s=view.pace_s,
        self_consistency=interval(view.self_consistency),
        agreement=interval(view.agreement),
    )
