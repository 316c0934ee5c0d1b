"""The door: Host, Origin and sign-in, before pages, routes, Gradio's endpoints and websockets."""

from __future__ import annotations

import hmac
import re
import time
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from loop_studio.errors import Gone, StudioError
from loop_studio.storage import accounts, audit, guests, sessions
from loop_studio.storage.database import Database
from loop_studio.storage.roles import BOOTSTRAP, SINGLE_USER, STRANGER, Principal
from loop_studio.ui import cards, permissions, who
from loop_studio.ui.envelope import route_path
from loop_studio.ui.hosts import Hosts
from loop_studio.ui.metrics import PATH as METRICS
from loop_studio.ui.problems import problem
from loop_studio.ui.refusals import explain
from loop_studio.ui.sessions import Attempts, Keys

SIGN_IN = "/login"
OPEN_PATHS = frozenset({"/healthz", SIGN_IN, "/static/sign-in.css"})
_LINKS = re.compile(r"/(invitation|guest)/[A-Za-z0-9_-]{1,100}")


class Door:
    """Lets a request in, with who sends it as `scope["principal"]`, or answers it why not."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Hosts,
        keys: Keys,
        attempts: Attempts,
        scraper: str | None = None,
    ) -> None:
        self.app = app
        self.hosts = hosts
        self.keys = keys
        self.attempts = attempts
        self.scraper = scraper  # the token of /metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, whatever its method."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            refusal = await self._refusal(HTTPConnection(scope))
        except StudioError as error:  # the database is busy, or its folder unusable
            refusal = problem(error.status, error.code, error.detail, headers={"Retry-After": "5"})
        if refusal is None:
            with audit.acting(_actor(scope)):
                await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    async def _refusal(self, request: HTTPConnection) -> Response | None:
        path = route_path(request.scope)
        if (foreign := self._foreign(request.headers)) is not None:
            return foreign
        if path in OPEN_PATHS:
            return None
        found = await self._who(request, path)
        if isinstance(found, Response):
            return found
        request.scope["principal"] = found
        least = permissions.of_page(path)
        if found.role < least and not _LINKS.fullmatch(path):
            return _refused(request, path, who.too_small(found, least))
        return None

    def _foreign(self, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self.hosts.knows(host):
            return problem(
                403,
                "unknown_host",
                f"This studio does not answer to the name {host[:100]!r}; its owner can add it to "
                "LOOP_STUDIO_ALLOWED_HOSTS.",
            )
        origin = headers.get("origin")
        if origin is not None and not self.hosts.is_own(origin, host):
            return problem(403, "foreign_origin", "A page of another site sent this request.")
        # A picture or script tag of another site sends no Origin, but its browser tells of it.
        elsewhere = headers.get("sec-fetch-site") in {"cross-site", "same-site"}
        if origin is None and elsewhere and headers.get("sec-fetch-mode") != "navigate":
            return problem(403, "foreign_origin", "A page of another site sent this request.")
        return None

    async def _who(self, request: HTTPConnection, path: str) -> Principal | Response:
        """Who sends it, or the answer to one who has to sign in first."""
        db: Database = request.scope["app"].state.database
        is_link = _LINKS.fullmatch(path) is not None
        try:
            found = await run_in_threadpool(self._by_cookie, db, request)
        except Gone as over:
            return STRANGER if is_link else _refused(request, path, over)
        if found is not None:
            return found
        if is_link:
            return STRANGER
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._bearer(request, db, path, token.strip())
        if _is_visit(request, path):
            return _to_sign_in(request, path)
        return _sign_in_first("Sign in first, or send Authorization: Bearer TOKEN.")

    def _is_scraper(self, token: str) -> bool:
        return self.scraper is not None and hmac.compare_digest(
            token.encode(), self.scraper.encode()
        )

    def _by_cookie(self, db: Database, request: HTTPConnection) -> Principal | None:
        cookie = request.cookies.get(self.keys.cookie, "")
        found = None
        if cookie.startswith(guests.TOKEN_PREFIX):
            found = guests.principal(db, cookie)
        elif cookie:
            found = sessions.principal(db, cookie, self.keys.password_mark)
        if found is None and self.keys.password_mark is None and not accounts.exist(db):
            return SINGLE_USER
        return found

    async def _bearer(
        self, request: HTTPConnection, db: Database, path: str, token: str
    ) -> Principal | Response:
        now, address = time.time(), address_of(request)
        if wait := self.attempts.wait_seconds(address, now):
            return too_many(wait)
        if self.keys.matches(token) or (path == METRICS and self._is_scraper(token)):
            return BOOTSTRAP
        if token.startswith(sessions.TOKEN_PREFIX):
            found = await run_in_threadpool(sessions.by_token, db, token)
            if found is not None:
                return found
        self.attempts.wrong(address, now)
        return _sign_in_first("The token in the Authorization header is wrong, or was revoked.")


def _actor(scope: Scope) -> str:
    """Whose changes the log of changes shall say they are."""
    found: Principal = scope.get("principal", STRANGER)
    return found.name or ("shared password" if found.is_signed_in else audit.LOCAL)


def address_of(request: HTTPConnection) -> str:
    """Where a request comes from, for counting wrong passwords."""
    return request.client.host if request.client else ""


def too_many(wait: int) -> Response:
    """The answer to one who has tried too many passwords."""
    return problem(
        429,
        "too_many_attempts",
        f"Too many wrong passwords; try again in {wait} seconds.",
        headers={"Retry-After": str(wait)},
    )


def _sign_in_first(detail: str) -> Response:
    return problem(401, "sign_in_required", detail, headers={"WWW-Authenticate": "Bearer"})


def _is_visit(request: HTTPConnection, path: str) -> bool:
    """Whether a person opens a page, as against a program or a script that asks for data."""
    if request.scope["type"] != "http" or request.scope["method"] not in {"GET", "HEAD"}:
        return False
    page = not path.startswith(("/api/v1", "/gradio_api", "/static"))
    return page and "text/html" in request.headers.get("accept", "")


def _refused(request: HTTPConnection, path: str, error: StudioError) -> Response:
    """A refusal: a page for a person, JSON for a program."""
    if not _is_visit(request, path):
        return problem(error.status, error.code, error.detail)
    explain(request, error.detail)
    if isinstance(error, Gone):
        again = cards.link(request, SIGN_IN, "Sign in with an account")
        return cards.card(request, "This link is over", error.detail, again, error.status)
    back = cards.link(request, "/", "To the page where you rate")
    leave = cards.form(f"{cards.root_of(request)}/logout", "Sign in as someone else")
    return cards.card(request, "Not for your role", error.detail, back + leave, error.status)


def _to_sign_in(request: HTTPConnection, path: str) -> Response:
    query = request.url.query
    wanted = quote(path) + (f"?{query}" if query else "")
    return RedirectResponse(f"{cards.root_of(request)}{SIGN_IN}?{urlencode({'next': wanted})}", 303)
