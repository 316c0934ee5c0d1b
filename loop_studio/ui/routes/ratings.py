"""Ratings: a gesture is stored before it is answered, and never changed afterwards."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BeforeValidator, ConfigDict, Field

from loop_studio.judgement import Gesture
from loop_studio.storage import guests, ratings
from loop_studio.ui.who import Who
from loop_studio.ui.wire import Answer, Body, Db, Id, Nothing, Rater, Text, Time

router = APIRouter(tags=["ratings"])


def _plausible(elapsed: object) -> object:
    """A time outside one day is not worth refusing a rating for: it is forgotten."""
    if isinstance(elapsed, bool) or not isinstance(elapsed, int | float):
        return elapsed
    return round(elapsed) if 0 <= elapsed <= ratings.LONGEST_ELAPSED_MS else None


Elapsed = Annotated[
    int | None,
    BeforeValidator(_plausible),
    Field(description="milliseconds the rater took; outside 0 to 86,400,000 it is kept as null"),
]
Value = Annotated[float, Field(allow_inf_nan=False)]


class NewRating(Body):
    """One gesture of one rater on one group. `event_id` makes sending it twice harmless.

    Whoever is signed in with an account may leave `rater` out: it is their name.
    """

    # To all other clients `rater` is required, and they go by this document.
    model_config = ConfigDict(
        json_schema_extra={"required": ["event_id", "group_id", "rater", "mode", "judgement"]}
    )

    event_id: Annotated[Text, Field(min_length=1, max_length=64)]
    group_id: Id
    rater: Rater | None = None
    mode: Gesture
    judgement: dict[str, Value | None]
    order: list[str] | None = None
    elapsed_ms: Elapsed = None


class Rating(Answer):
    """A rating event as it is stored, with what it is worth."""

    event_id: str
    group_id: str
    rater: str
    mode: Gesture
    judgement: dict[str, float | None]
    status: Literal["active", "superseded", "undone"]
    usable: bool
    reason: str
    rewards: dict[str, float | None]
    advantages: dict[str, float | None]
    used_by_update_id: str | None
    too_fast: bool
    created_at: Time


class Gestured(Body):
    """A gesture that may still change."""

    mode: Gesture
    judgement: dict[str, Value | None]


class Worth(Answer):
    """What a gesture would teach."""

    usable: bool
    reason: str
    rewards: dict[str, float | None]
    advantages: dict[str, float | None]


@router.post("/ratings")
def rate(db: Db, who: Who, new: NewRating) -> Rating:
    """Store a gesture; it is on disk and counted before this answers."""
    rating = ratings.RatingIn(**{**new.model_dump(), "rater": who.judges_as(new.rater)})
    guests.may_rate(db, who, rating.group_id)
    return Rating.model_validate(ratings.record(db, rating))


@router.post("/groups/{id}/preview")
def preview(db: Db, id: Id, gestured: Gestured) -> Worth:
    """Each picture's push if the group were judged so; nothing is stored."""
    return Worth.model_validate(ratings.preview(db, id, gestured.mode, gestured.judgement))


@router.post("/ratings/{event_id:path}/undo")
def undo(db: Db, who: Who, event_id: str, nothing: Nothing) -> Rating:
    """Take a gesture back; its group comes next for that rater again."""
    return Rating.model_validate(ratings.undo(db, event_id, who.name))
