"""Signing in: with a name and a password, or with the studio's one shared password."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from loop_studio.storage import accounts, sessions
from loop_studio.storage.database import Database
from loop_studio.ui.access import SIGN_IN, address_of
from loop_studio.ui.cards import Field, card, filled_in, form, let_in, root_of, safe_target
from loop_studio.ui.refusals import explain
from loop_studio.ui.sessions import Keys, Patience

_WRONG = "Name and password do not match. Try again."
_WRONG_SHARED = "That is not the password. Try again."
_EITHER = "Or leave the name empty and give the studio's own password."


def router(keys: Keys, patience: Patience) -> APIRouter:
    """The sign-in page and what its two forms do."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(SIGN_IN)
    def show(request: Request, next: str = "/") -> Response:
        return _page(request, keys, next)

    @routes.post(SIGN_IN)
    async def sign_in(request: Request) -> Response:
        sent = await filled_in(request)
        return await run_in_threadpool(_sign_in, request, keys, patience, sent)

    @routes.post("/logout")
    def sign_out(request: Request) -> Response:
        sessions.end(_db(request.app), request.cookies.get(keys.cookie, ""))
        answer = RedirectResponse(root_of(request) + SIGN_IN, 303)
        answer.delete_cookie(keys.cookie, path=root_of(request) or "/")
        return answer

    return routes


def _sign_in(request: Request, keys: Keys, patience: Patience, sent: dict[str, str]) -> Response:
    db, address = _db(request.app), address_of(request)
    name, password = sent.get("name", "").strip(), sent.get("password", "")
    wanted, known = sent.get("next", "/"), accounts.key(name)
    if wait := patience.wait_seconds(address, known):
        explain(request, f"Locked out for {wait} s, sign-in as {name!r}.")
        sentence = f"Too many wrong passwords. Try again in {wait} seconds."
        return _page(request, keys, wanted, sentence, 429, {"Retry-After": str(wait)})
    token = _token(db, keys, name, password)
    if token is None:
        patience.wrong(address, known)
        explain(request, f"A wrong password, sign-in as {name!r}.")
        return _page(request, keys, wanted, _WRONG if name else _WRONG_SHARED, 401)
    return let_in(request, keys.cookie, token, wanted, int(sessions.LIFETIME.total_seconds()))


def _token(db: Database, keys: Keys, name: str, password: str) -> str | None:
    """A new session's token, or None for a wrong password."""
    if not name:
        is_shared = keys.matches(password)
        return sessions.begin(db, None, keys.password_mark) if is_shared else None
    user = accounts.has_password(db, name, password)
    return sessions.begin(db, user.id) if user else None


def _page(
    request: Request,
    keys: Keys,
    wanted: str,
    sentence: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    has_accounts, is_shared = accounts.exist(_db(request.app)), keys.password_mark is not None
    if not has_accounts and not is_shared:
        return RedirectResponse(root_of(request) + safe_target(wanted), 303)
    name = Field(
        "name",
        "Name",
        autocomplete="username",
        required=not is_shared,
        hint=_EITHER if is_shared else "",
    )
    password = Field("password", "Password", "password", "current-password")
    fields = [name, password] if has_accounts else [password]
    about = (
        "Sign in with your account."
        if has_accounts
        else "This studio asks for the password that its owner chose."
    )
    kept = {"next": safe_target(wanted)}
    content = form(root_of(request) + SIGN_IN, "Sign in", fields, sentence, kept)
    return card(request, "Sign in", about, content, status, headers)


def _db(app: FastAPI) -> Database:
    database: Database = app.state.database
    return database
