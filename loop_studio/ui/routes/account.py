"""One's own account: password, tokens, and signing out everywhere."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from loop_studio.errors import Conflict, Forbidden
from loop_studio.storage import accounts, passwords, sessions
from loop_studio.storage.roles import Principal
from loop_studio.storage.schema import ApiToken
from loop_studio.ui.access import address_of, too_many
from loop_studio.ui.routes.session import RoleWord
from loop_studio.ui.sessions import Patience
from loop_studio.ui.who import Who
from loop_studio.ui.wire import Answer, Body, Db, Id, Nothing, Text, Time

log = logging.getLogger(__name__)
router = APIRouter(tags=["people"])

Password = Annotated[Text, Field(max_length=passwords.LONGEST)]
Scope = Literal["rate", "train", "administer"]


class Account(Answer):
    """An account; `signed_in_at` is the last time that its password was given."""

    id: str
    name: str
    role: RoleWord
    active: bool
    signed_in_at: Time | None
    created_at: Time


class NewPassword(Body):
    """Your current password, and the one to come."""

    password: Password
    new_password: Password


class NewToken(Body):
    """What the token is for, and the most that it may do."""

    name: Annotated[Text, Field(min_length=1, max_length=accounts.LONGEST_NAME)]
    scope: Scope


class Token(Answer):
    """A token without its secret."""

    id: str
    name: str
    scope: Scope
    owner: str
    created_at: Time


class MadeToken(Token):
    """A token with its secret, told this once."""

    token: str


class TokenList(Answer):
    """Tokens, oldest first."""

    tokens: list[Token]


@router.get("/account")
def get_account(db: Db, who: Who) -> Account:
    """Your own account."""
    return Account.model_validate(accounts.get(db, _own(who)))


@router.post("/account/password", status_code=204, response_class=Response)
def change_password(request: Request, db: Db, who: Who, new: NewPassword) -> Response:
    """Choose another password; every browser is signed out, this one too."""
    user = accounts.get(db, _own(who))
    _by_hand(who)
    patience: Patience = request.app.state.patience
    address, name = address_of(request), accounts.key(user.name)
    if wait := patience.wait_seconds(address, name):
        return too_many(wait)
    if not passwords.matches(user.password_hash, new.password):
        patience.wrong(address, name)
        raise Forbidden("That is not your current password.", "wrong_password")
    accounts.change_password(db, user.id, new.new_password)
    log.info("%.80r chose another password", user.name)
    return Response(status_code=204)


@router.post("/account/sign-out", status_code=204, response_class=Response)
def sign_out_everywhere(db: Db, who: Who, nothing: Nothing) -> None:
    """End your sessions in every browser, this one too; tokens stay."""
    if not who.is_signed_in:
        raise Conflict("Nobody is signed in here; this studio asks nobody to.", "not_signed_in")
    accounts.sign_out_everywhere(db, who.user_id)
    log.info("%.80r signed out everywhere", who.name or "the shared password")


@router.get("/account/tokens")
def list_own_tokens(db: Db, who: Who) -> TokenList:
    """Your tokens."""
    return told(sessions.tokens(db, _own(who)))


@router.post("/account/tokens", status_code=201)
def make_token(db: Db, who: Who, new: NewToken) -> MadeToken:
    """Make a token for a program; its secret is in this answer and nowhere else."""
    owner = accounts.get(db, _own(who))
    _by_hand(who)
    row, secret = sessions.make_token(db, owner.id, new.name, new.scope)
    log.info("%.80r made the token %s, scope %s", owner.name, row.id, row.scope)
    return MadeToken.model_validate({**_token(row, owner.name), "token": secret})


@router.delete("/account/tokens/{id}", status_code=204, response_class=Response)
def revoke_own_token(db: Db, who: Who, id: Id) -> None:
    """Revoke one of your tokens; whoever uses it is refused from now on."""
    sessions.revoke_token(db, id, _own(who))
    log.info("%.80r revoked the token %s", who.name, id)


def told(found: list[tuple[ApiToken, str]]) -> TokenList:
    """Tokens as they are answered."""
    return TokenList.model_validate({"tokens": [_token(row, owner) for row, owner in found]})


def _token(row: ApiToken, owner: str) -> dict[str, object]:
    return {**{name: getattr(row, name) for name in ("id", "name", "scope", "created_at")},
            "owner": owner}  # fmt: skip


def _own(who: Principal) -> str:
    if who.user_id is None:
        raise Conflict("You have no account of your own here; make one on the page People.",
                       "no_account")  # fmt: skip
    return who.user_id


def _by_hand(who: Principal) -> None:
    """A token that leaked must not make itself more."""
    if who.by_token:
        raise Forbidden("A token may not do this; sign in with your password.", "not_by_token")
