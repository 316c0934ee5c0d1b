"""Who the studio takes the asking browser or program for, and what they may do."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from loop_studio.ui.who import Who
from loop_studio.ui.wire import Answer

router = APIRouter(tags=["people"])

RoleWord = Literal["rater", "trainer", "administrator"]


class Session(Answer):
    """`name` is the one judgements bear; null: each says its own. A guest has one project.

    `signed_in` is false where nobody has to sign in; `has_account` where there is none behind it:
    for guests, and for those who gave the studio's shared password.
    """

    role: Literal["guest", RoleWord]
    name: str | None
    project_id: str | None
    signed_in: bool
    has_account: bool


@router.get("/session")
def get_session(who: Who) -> Session:
    """Who you are here."""
    return Session.model_validate(
        {
            "role": who.role.word,
            "name": who.name,
            "project_id": who.project_id,
            "signed_in": who.is_signed_in,
            "has_account": who.user_id is not None,
        }
    )
