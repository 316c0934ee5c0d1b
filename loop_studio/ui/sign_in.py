"""The sign-in page: one password, shared by everyone whom the owner told it to."""

from __future__ import annotations

import time
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from loop_studio.ui.access import SIGN_IN, address_of
from loop_studio.ui.sessions import LIFETIME_S, Attempts, Sessions

_PAGE = Template((Path(__file__).parent / "sign_in.html").read_text(encoding="utf-8"))


def router(sessions: Sessions, attempts: Attempts) -> APIRouter:
    """The sign-in page and what its two forms do."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(SIGN_IN)
    async def show(request: Request, next: str = "/") -> Response:
        return _page(request, next)

    @routes.post(SIGN_IN)
    async def sign_in(request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        wanted = form.get("next", ["/"])[0]
        now, address = time.time(), address_of(request)
        if wait := attempts.wait_seconds(address, now):
            sentence = f"Too many wrong passwords. Try again in {wait} seconds."
            return _page(request, wanted, sentence, 429, {"Retry-After": str(wait)})
        if not sessions.matches(form.get("password", [""])[0]):
            attempts.wrong(address, now)
            return _page(request, wanted, "That is not the password. Try again.", 401)
        return _let_in(request, sessions.cookie, sessions.issue(now), wanted)

    @routes.post("/logout")
    async def sign_out(request: Request) -> Response:
        answer = RedirectResponse(_root(request) + SIGN_IN, 303)
        answer.delete_cookie(sessions.cookie, path=_root(request) or "/")
        return answer

    return routes


def safe_target(wanted: str) -> str:
    """A path on this studio to go to after signing in; anything else becomes `/`."""
    printable = wanted.isascii() and wanted.isprintable() and " " not in wanted
    inside = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if printable and inside else "/"


def _let_in(request: Request, cookie: str, token: str, wanted: str) -> Response:
    answer = RedirectResponse(_root(request) + safe_target(wanted), 303)
    answer.set_cookie(
        cookie,
        token,
        max_age=LIFETIME_S,
        path=_root(request) or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


def _page(
    request: Request,
    wanted: str,
    sentence: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    page = _PAGE.substitute(
        root=escape(_root(request)), next=escape(safe_target(wanted)), sentence=escape(sentence)
    )
    return HTMLResponse(page, status, {"Cache-Control": "no-store", **(headers or {})})


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", ""))
