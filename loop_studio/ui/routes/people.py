"""People: accounts and their roles, invitations, guest links, everyone's tokens."""

from __future__ import annotations

import io
import logging
from typing import Annotated

import segno
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from loop_studio.errors import Conflict
from loop_studio.storage import accounts, guests, invitations, sessions
from loop_studio.storage.schema import Invitation
from loop_studio.ui.routes.account import Account, TokenList, told
from loop_studio.ui.routes.session import RoleWord
from loop_studio.ui.sessions import Keys
from loop_studio.ui.who import Who
from loop_studio.ui.wire import Answer, Body, Db, Id, Nothing, Text, Time

log = logging.getLogger(__name__)
router = APIRouter(tags=["people"])

Origin = Annotated[
    str, Query(pattern=r"^https?://[^/\s]{1,255}$", description="how browsers reach the studio")
]
Note = Annotated[Text, Field(max_length=invitations.LONGEST_NOTE)]


class AccountList(Answer):
    """Accounts, oldest first."""

    people: list[Account]


class AccountChange(Body):
    """What shall be different."""

    role: RoleWord | None = None
    active: bool | None = None


class NewInvitation(Body):
    """As what someone is invited, and for how many days the link works."""

    role: RoleWord
    note: Note = ""
    days: Annotated[int, Field(ge=1, le=invitations.MOST_DAYS)] = 7


class Invited(Answer):
    """A link that works once; `path` is root-relative.

    `for_account` is whose password it renews.
    """

    id: str
    role: RoleWord
    note: str
    for_account: str | None
    path: str
    expires_at: Time
    created_at: Time


class InvitationList(Answer):
    """Invitations that can still be used, oldest first."""

    invitations: list[Invited]


class NewGuestLink(Body):
    """Which project guests may rate, for how long, and how many ratings in all."""

    project_id: Id
    note: Note = ""
    hours: Annotated[int, Field(ge=1, le=guests.MOST_HOURS)] = 24
    most_ratings: Annotated[int, Field(ge=1, le=guests.MOST_RATINGS)] | None = None


class GuestLinkView(Answer):
    """A guest link; `path` is root-relative."""

    id: str
    project_id: str
    project: str
    note: str
    path: str
    most_ratings: int | None
    guests: int
    ratings: int
    expires_at: Time
    created_at: Time


class GuestLinkList(Answer):
    """Guest links that still work, oldest first."""

    guest_links: list[GuestLinkView]


@router.get("/people")
def list_people(db: Db) -> AccountList:
    """Everyone with an account."""
    return AccountList.model_validate({"people": accounts.all(db)})


@router.patch("/people/{id}")
def change_person(db: Db, who: Who, id: Id, change: AccountChange) -> Account:
    """Give someone another role, deactivate or reactivate; one administrator always stays."""
    user = accounts.change(db, id, change.role, change.active)
    state = user.role if user.active else "deactivated"
    log.info("%.80r is %s now, says %.80r", user.name, state, who.name or who.role.word)
    return Account.model_validate(user)


@router.post("/people/{id}/sign-out", status_code=204, response_class=Response)
def sign_out_person(db: Db, id: Id, nothing: Nothing) -> None:
    """End someone's sessions in every browser."""
    accounts.sign_out_everywhere(db, accounts.get(db, id).id)


@router.post("/people/{id}/password-link", status_code=201)
def make_password_link(request: Request, db: Db, id: Id, nothing: Nothing) -> Invited:
    """A link, good for a day, by which someone chooses a new password."""
    return _invited(request, invitations.renew_password(db, id))


@router.get("/invitations")
def list_invitations(request: Request, db: Db) -> InvitationList:
    """Those that can still be used."""
    return InvitationList(invitations=[_invited(request, one) for one in invitations.waiting(db)])


@router.post("/invitations", status_code=201)
def invite(request: Request, db: Db, who: Who, new: NewInvitation) -> Invited:
    """Make a link that makes one account."""
    if not who.is_signed_in and new.role != "administrator":
        raise Conflict(
            "The first account must be an administrator's: with it everyone has to sign in, and "
            "somebody must be able to invite the others.",
            "no_administrator",
        )
    invitation = invitations.create(db, new.role, new.note, new.days)
    log.info("%.80r invited as %s", who.name or who.role.word, new.role)
    return _invited(request, invitation)


@router.delete("/invitations/{id}", status_code=204, response_class=Response)
def revoke_invitation(db: Db, id: Id) -> None:
    """Withdraw an invitation. Repeatable."""
    invitations.revoke(db, id)


@router.get("/guest-links")
def list_guest_links(request: Request, db: Db) -> GuestLinkList:
    """Those that still work, with what came of them."""
    return GuestLinkList(guest_links=[_guest_link(request, view) for view in guests.links(db)])


@router.post("/guest-links", status_code=201)
def make_guest_link(request: Request, db: Db, who: Who, new: NewGuestLink) -> GuestLinkView:
    """Make a link by which anyone may rate one project."""
    link = guests.create(db, new.project_id, new.note, new.hours, new.most_ratings)
    log.info("%.80r made the guest link %s", who.name or who.role.word, link.id)
    return _guest_link(request, guests.view(db, link.id))


@router.get(
    "/guest-links/{id}/code.svg",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}},
)
def guest_code(request: Request, db: Db, id: Id, origin: Origin) -> Response:
    """The link's whole address as a QR code, black on white."""
    path = _guest_link(request, guests.view(db, id)).path
    code = segno.make(origin + path, error="m")
    picture = io.BytesIO()
    code.save(picture, kind="svg", scale=8, border=4, light="white", xmldecl=False, nl=False)
    return Response(picture.getvalue(), media_type="image/svg+xml")


@router.delete("/guest-links/{id}", status_code=204, response_class=Response)
def revoke_guest_link(db: Db, id: Id) -> None:
    """Withdraw a guest link: whoever came by it may rate no more. Repeatable."""
    guests.revoke(db, id)
    log.info("the guest link %s was withdrawn", id)


@router.get("/tokens")
def list_tokens(db: Db) -> TokenList:
    """Everyone's tokens."""
    return told(sessions.tokens(db))


@router.delete("/tokens/{id}", status_code=204, response_class=Response)
def revoke_token(db: Db, id: Id) -> None:
    """Revoke anyone's token."""
    sessions.revoke_token(db, id)
    log.info("the token %s was revoked", id)


def _invited(request: Request, invitation: Invitation) -> Invited:
    renews = invitation.user_id is not None
    return Invited(
        id=invitation.id,
        role=invitation.role,
        note="" if renews else invitation.note,
        for_account=invitation.note if renews else None,
        path=_path(request, "invitation", invitation.id),
        expires_at=invitation.expires_at,
        created_at=invitation.created_at,
    )


def _guest_link(request: Request, view: guests.LinkView) -> GuestLinkView:
    link = view.link
    return GuestLinkView(
        id=link.id,
        project_id=link.project_id,
        project=view.project,
        note=link.note,
        path=_path(request, "guest", link.id),
        most_ratings=link.most_ratings,
        guests=view.guests,
        ratings=view.ratings,
        expires_at=link.expires_at,
        created_at=link.created_at,
    )


def _path(request: Request, kind: str, link_id: str) -> str:
    """A link's address below this host, with the sub-path when there is one."""
    keys: Keys = request.app.state.keys
    return f"{request.scope.get('root_path', '')}/{kind}/{keys.secret(kind, link_id)}"
