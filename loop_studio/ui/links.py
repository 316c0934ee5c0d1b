"""Links that let someone in: an invitation makes an account, a guest link shows one project."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from loop_studio.errors import Gone, Invalid, NotFound, Refused
from loop_studio.storage import guests, invitations, passwords, sessions
from loop_studio.storage.columns import now
from loop_studio.storage.database import Database
from loop_studio.storage.roles import Principal
from loop_studio.storage.schema import Invitation, User
from loop_studio.ui import plain
from loop_studio.ui.access import SIGN_IN, address_of
from loop_studio.ui.cards import Field, card, filled_in, form, let_in, link, root_of
from loop_studio.ui.refusals import explain
from loop_studio.ui.sessions import Keys
from loop_studio.ui.who import Who
from loop_studio.ui.wire import Db

log = logging.getLogger(__name__)

_UNKNOWN = "There is no such link; copy it whole, or ask whoever sent it for a new one."
_DOES = {
    "rater": "judge pictures, and see what you judged.",
    "trainer": "judge pictures, and train: updates, projects, rewards, versions.",
    "administrator": "do everything, and manage people.",
}


def router(keys: Keys) -> APIRouter:
    """Both kinds of links, with their forms."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/invitation/{secret}")
    def show_invitation(request: Request, db: Db, secret: str) -> Response:
        return _plainly(request, lambda: _invited(request, *_invitation(db, keys, secret)))

    @routes.post("/invitation/{secret}")
    async def accept(request: Request, db: Db, secret: str) -> Response:
        sent = await filled_in(request)
        return await run_in_threadpool(
            _plainly, request, lambda: _accept(request, db, keys, secret, sent)
        )

    @routes.get("/guest/{secret}")
    def show_guest(request: Request, db: Db, who: Who, secret: str) -> Response:
        return _plainly(request, lambda: _welcome(request, db, keys, who, secret))

    @routes.post("/guest/{secret}")
    async def enter(request: Request, db: Db, secret: str) -> Response:
        sent = await filled_in(request)
        return await run_in_threadpool(
            _plainly, request, lambda: _enter(request, db, keys, secret, sent)
        )

    return routes


def _plainly(request: Request, answer: Callable[[], Response]) -> Response:
    """A link that is no more, or never was, said on a page of its own."""
    try:
        return answer()
    except (Gone, NotFound) as error:
        sentence = error.detail if isinstance(error, Gone) else _UNKNOWN
        explain(request, sentence)
        again = link(request, SIGN_IN, "Sign in with an account")
        return card(request, "This link does not work", sentence, again, error.status)


def _invitation(db: Database, keys: Keys, secret: str) -> tuple[Invitation, User | None]:
    return invitations.look(db, _opened(keys, "invitation", secret))


def _opened(keys: Keys, kind: str, secret: str) -> str:
    link_id = keys.opened(kind, secret)
    if link_id is None:
        raise NotFound(_UNKNOWN)
    return link_id


def _invited(
    request: Request,
    invitation: Invitation,
    owner: User | None,
    sent: dict[str, str] | None = None,
    refused: Refused | None = None,
) -> Response:
    hint = f"At least {passwords.SHORTEST} characters; a few words in a row are easy to remember."
    password = Field("password", "Password", "password", "new-password", hint=hint)
    again = Field("again", "The same password again", "password", "new-password")
    if owner is None:
        typed = (sent or {}).get("name", "")[:80]
        name = Field("name", "Name", autocomplete="username", value=typed, longest=80,
                     hint="Others see it beside what you judge.")  # fmt: skip
        title = f"You are invited as {_article(invitation.role)}"
        about = f"Choose a name and a password. You can then {_DOES[invitation.role]}"
        fields, button = [name, password, again], "Make the account"
    else:
        title, about = f"A new password for {owner.name}", "The old one stops working."
        fields, button = [password, again], "Save the password"
    content = form(request.url.path, button, fields, refused.detail if refused else "")
    return card(request, title, about, content, refused.status if refused else 200)


def _accept(
    request: Request, db: Database, keys: Keys, secret: str, sent: dict[str, str]
) -> Response:
    invitation, owner = _invitation(db, keys, secret)
    password = sent.get("password", "")
    try:
        if password != sent.get("again", ""):
            raise Invalid("The two passwords differ; type the same one twice.")
        user = invitations.accept(db, invitation.id, sent.get("name", ""), password)
    except Gone:
        raise
    except Refused as refused:
        explain(request, refused.detail)
        return _invited(request, invitation, owner, sent, refused)
    log.info("invitation %s was accepted by %.80r as %s", invitation.id, user.name, user.role)
    token = sessions.begin(db, user.id)
    return let_in(request, keys.cookie, token, "/", int(sessions.LIFETIME.total_seconds()))


def _article(role: str) -> str:
    return f"an {role}" if role == "administrator" else f"a {role}"


def _welcome(request: Request, db: Database, keys: Keys, who: Principal, secret: str) -> Response:
    """Where a guest says who they are; whoever is known already goes on to the pictures."""
    found, project = guests.look(db, _opened(keys, "guest", secret))
    if who.link_id == found.id or (who.is_signed_in and not who.is_guest):
        return _to_pictures(request, found.project_id)
    return _guest_form(request, project.name)


def _guest_form(request: Request, project: str, sent: str = "", problem: str = "") -> Response:
    name = Field("name", "Your name", autocomplete="nickname", value=sent,
                 longest=guests.LONGEST_NAME, hint="It is kept with your answers.")  # fmt: skip
    about = f"You are invited to judge pictures of {project}, several at a time: choose the best."
    content = form(request.url.path, "Start judging", [name], problem)
    return card(request, "Which picture is better?", about, content, 422 if problem else 200)


def _enter(
    request: Request, db: Database, keys: Keys, secret: str, sent: dict[str, str]
) -> Response:
    found, project = guests.look(db, _opened(keys, "guest", secret))
    name = sent.get("name", "").strip()
    try:
        guest, token = guests.enter(db, found.id, name)
    except Gone:
        raise
    except Refused as refused:
        explain(request, refused.detail)
        return _guest_form(request, project.name, name[: guests.LONGEST_NAME], refused.detail)
    log.info("guest %.80r came by link %s from %.80r", guest.name, found.id, address_of(request))
    lasts_s = int((found.expires_at - now()).total_seconds())
    target = f"{plain.PATH}?project={found.project_id}"
    return let_in(request, keys.cookie, token, target, max(1, lasts_s))


def _to_pictures(request: Request, project_id: str) -> Response:
    return RedirectResponse(f"{root_of(request)}{plain.PATH}?project={project_id}", 303)
