"""The door: Host, Origin and sign-in, before pages, routes, Gradio's endpoints and websockets."""

from __future__ import annotations

import time
from urllib.parse import quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from loop_studio.ui.envelope import route_path
from loop_studio.ui.hosts import Hosts
from loop_studio.ui.problems import problem
from loop_studio.ui.sessions import Attempts, Sessions

SIGN_IN = "/login"
OPEN_PATHS = frozenset({"/healthz", SIGN_IN, "/static/sign-in.css"})
# Gradio's upload takes files from anyone; the runs page and the recorder are not ours.
SHUT_PATHS = ("/gradio_api/upload", "/gradio_api/runs", "/gradio_api/process_recording")


class Door:
    """Lets a request in, or answers it with the reason why not."""

    def __init__(
        self, app: ASGIApp, hosts: Hosts, sessions: Sessions | None, attempts: Attempts
    ) -> None:
        self.app = app
        self.hosts = hosts
        self.sessions = sessions
        self.attempts = attempts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, whatever its method."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(HTTPConnection(scope))
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    def _refusal(self, request: HTTPConnection) -> Response | None:
        path = route_path(request.scope)
        if (foreign := self._foreign(request.headers)) is not None:
            return foreign
        if self.sessions is not None and path not in OPEN_PATHS:
            unsigned = self._unsigned(request, self.sessions, path)
            if unsigned is not None:
                return unsigned
        if path.startswith(SHUT_PATHS):
            return problem(404, "not_found", "There is nothing at this address.")
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

    def _unsigned(self, request: HTTPConnection, sessions: Sessions, path: str) -> Response | None:
        now = time.time()
        if sessions.valid(request.cookies.get(sessions.cookie, ""), now):
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._bearer(request, sessions, token.strip(), now)
        if _is_visit(request, path):
            return _to_sign_in(request, path)
        return _sign_in_first("Sign in first, or send Authorization: Bearer PASSWORD.")

    def _bearer(
        self, request: HTTPConnection, sessions: Sessions, token: str, now: float
    ) -> Response | None:
        address = address_of(request)
        if wait := self.attempts.wait_seconds(address, now):
            return too_many(wait)
        if sessions.matches(token):
            return None
        self.attempts.wrong(address, now)
        return _sign_in_first("The password in the Authorization header is wrong.")


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


def _to_sign_in(request: HTTPConnection, path: str) -> Response:
    query = request.url.query
    wanted = quote(path) + (f"?{query}" if query else "")
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}{SIGN_IN}?{urlencode({'next': wanted})}", 303)
