"""Consent: what a rater reads and agrees to before the first rating."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from loop_studio.storage import consent
from loop_studio.ui.who import RaterQuery, Who
from loop_studio.ui.wire import Answer, Body, Db, Id, Rater, Time

router = APIRouter(tags=["consent"])


class Consent(Answer):
    """The text in force, 0 and empty where nobody is asked, and when this rater agreed to it."""

    number: int
    text: str
    agreed_at: Time | None


class Agreement(Body):
    """This rater has read that version of the text and agrees."""

    rater: Rater | None = None  # whoever has an account may leave it out
    number: Annotated[int, Field(ge=1, le=2**31 - 1)]


@router.get("/projects/{id}/consent")
def get_consent(db: Db, id: Id, rater: RaterQuery) -> Consent:
    """What this rater is asked to agree to."""
    return Consent.model_validate(consent.state(db, id, rater))


@router.post("/projects/{id}/consent")
def agree(db: Db, who: Who, id: Id, new: Agreement) -> Consent:
    """Agree. Repeatable; 409 `consent_changed` where another version is in force by now."""
    return Consent.model_validate(consent.agree(db, id, who.judges_as(new.rater), new.number))
