"""Where versions come from, how two of them differ, and how to make one again without ratings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from loop_studio.errors import Invalid
from loop_studio.storage import comparing, provenance, retraining
from loop_studio.ui.routes.updates import Update, get_update
from loop_studio.ui.wire import Answer, Body, Db, Id, Text, Time

router = APIRouter(tags=["versions"])

MOST_RATINGS = 1000  # that can be named one by one

Named = Annotated[list[Text], Field(max_length=MOST_RATINGS)]


class RaterPart(Answer):
    """How many of a rater's ratings an update learned from."""

    id: str
    name: str
    ratings: int


class Retold(Answer):
    """Of a version made again: which one, from which ancestor, and without what."""

    version: int
    ancestor: int
    words: str


class Provenance(Answer):
    """What made one version: of the base and of imports, no update did.

    `changed`: settings that differ from those that made its parent, `[before, after]`.
    """

    version_id: str
    bytes: int
    update: int | None
    groups: int
    ratings: int
    raters: list[RaterPart]
    reward: dict[str, Any] | None
    changed: dict[str, list[Any]]
    retraining: Retold | None


class ProvenanceList(Answer):
    """Of every version, oldest first."""

    versions: list[Provenance]


class UsedRating(Answer):
    """A rating that a version learned from, itself or by an ancestor."""

    event_id: str
    rater_id: str
    rater: str
    prompt: str
    mode: str
    update: int
    created_at: Time


class UsedRatings(Answer):
    """Newest first; `more` says that older ones are not listed."""

    ratings: list[UsedRating]
    more: bool


class LeftOut(Body):
    """Whose ratings, and which ones, a version is made again without."""

    raters: Named = Field(default_factory=list)
    ratings: Named = Field(default_factory=list)


class Plan(Answer):
    """What training again would do: which version it starts from, and what is repeated."""

    ancestor: int
    updates: int
    left_out: int
    ratings: int
    groups: int
    words: str


class Difference(Answer):
    """A reward on the same pictures of two versions, and the mean difference at 95 %."""

    source: str
    n: int
    first: float
    second: float
    mean: float
    low: float
    high: float


class DifferenceList(Answer):
    """Every automatic reward that has scored both."""

    differences: list[Difference]


@router.get("/projects/{id}/provenance")
def list_provenance(db: Db, id: Id) -> ProvenanceList:
    """Ratings, raters, rewards and settings that made each version."""
    return ProvenanceList.model_validate({"versions": provenance.provenance(db, id)})


@router.get("/versions/{id}/ratings")
def list_ratings(db: Db, id: Id) -> UsedRatings:
    """The ratings that a version and its ancestors learned from."""
    rows, more = provenance.ratings_of(db, id)
    return UsedRatings.model_validate({"ratings": rows, "more": more})


@router.get("/versions/{id}/difference")
def difference(db: Db, id: Id, to: Id) -> DifferenceList:
    """How another version's probe pictures score beside this one's, picture by picture."""
    return DifferenceList.model_validate({"differences": comparing.differences(db, id, to)})


@router.get("/versions/{id}/retraining")
def plan_retraining(
    db: Db,
    id: Id,
    rater: Annotated[list[Text] | None, Query(max_length=MOST_RATINGS)] = None,
    rating: Annotated[list[Text] | None, Query(max_length=MOST_RATINGS)] = None,
) -> Plan:
    """What training a version again without these raters and ratings would do."""
    planned = retraining.plan(db, id, *_named(rater or [], rating or []))
    return Plan(
        ancestor=planned.ancestor.number,
        updates=len(planned.updates),
        left_out=len(planned.left_out),
        ratings=planned.ratings,
        groups=planned.groups,
        words=planned.words,
    )


@router.post("/versions/{id}/retraining", status_code=202)
def retrain(db: Db, id: Id, left_out: LeftOut) -> Update:
    """Queue the first update of a branch from the last clean ancestor; the others follow it."""
    update = retraining.start(db, id, *_named(left_out.raters, left_out.ratings))
    return get_update(db, update.id)


def _named(raters: list[str], ratings: list[str]) -> tuple[list[str], list[str]]:
    if not raters and not ratings:
        raise Invalid("Name at least one rater or one rating to leave out.")
    return raters, ratings
