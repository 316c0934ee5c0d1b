"""What surrounds every exchange: the path a proxy took off, and headers that every answer has."""

from __future__ import annotations

import re

from starlette._utils import get_route_path
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop_studio import __version__
from loop_studio.ui.problems import RELEASE_HEADER

_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


def route_path(scope: Scope) -> str:
    """The path below our root, by the very function that the router matches with.

    Private to Starlette and no other way to it: a guess of our own could differ from the router's,
    and a difference between the door and the router is a hole.
    """
    path: str = get_route_path(scope)
    return path


class ForwardedPrefix:
    """Believes `X-Forwarded-Prefix`, so that links keep the sub-path a proxy serves us under."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the prefix where ASGI wants it: in `root_path` and at the front of `path`."""
        if scope["type"] in {"http", "websocket"}:
            prefix = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/")
            if _PREFIX.fullmatch(prefix):
                scope = _under(scope, prefix)
        await self.app(scope, receive, send)


def _under(scope: Scope, prefix: str) -> Scope:
    path = scope["path"]
    if path != prefix and not path.startswith(prefix + "/"):
        path = prefix + path
    return {**scope, "root_path": prefix, "path": path}


class AnswerHeaders:
    """Adds the release, and what keeps answers from being cached, sniffed or framed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers as the answer starts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = route_path(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message), path)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _add(headers: MutableHeaders, path: str) -> None:
    headers[RELEASE_HEADER] = __version__
    headers["X-Content-Type-Options"] = "nosniff"
    headers.setdefault("Content-Security-Policy", "frame-ancestors 'self'")
    headers.setdefault("Referrer-Policy", "same-origin")
    if path.startswith("/static/"):
        headers.setdefault("Cache-Control", "no-cache")  # ask each time: an upgrade shows at once
    elif path.startswith("/api/") or path == "/healthz":
        headers.setdefault("Cache-Control", "no-store")
