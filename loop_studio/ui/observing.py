"""Every request gets an id and a line in the log, and is counted, whoever answers it.

The line and the counters name the route's template, never the path or the query: these may hold
names, invitations and tokens.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop_studio import logs
from loop_studio.ui.envelope import route_path
from loop_studio.ui.metrics import Requests

REQUEST_ID = "X-Request-ID"
_API = "/api/v1"
_SEEN = "loop_studio.seen"  # in the scope: what the router matched, told to the outermost
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNKNOWN = "other"  # all that no route answers: a scanner must not make a name of every path
_FIRST_PARTS = frozenset({"static", "gradio_api", "assets"})


class Observing:
    """Around everything, so that what the door refuses is seen too."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self.app = app
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, pass it on, and say how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        logs.request_id.set(name := _name(scope))
        seen: dict[str, Any] = {"route": None, "status": 500}
        scope[_SEEN] = seen
        began = time.perf_counter()

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = name
            await send(message)

        try:
            await self.app(scope, receive, send_named)
        finally:
            self._tell(scope, seen, time.perf_counter() - began)

    def _tell(self, scope: Scope, seen: dict[str, Any], seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route, status = seen["route"] or _first_part(scope), seen["status"]
        self.requests.count(method, route, status, seconds)
        level = "info" if status < 400 else "warning" if status < 500 else "error"
        client = scope.get("client") or ("", 0)
        getattr(logs.ACCESS, level)(
            "%s %s %d in %.0f ms",
            method,
            route,
            status,
            1000 * seconds,
            extra={
                "method": method,
                "route": route,
                "status": status,
                "duration_ms": round(1000 * seconds, 1),
                "client": client[0],
            },
        )


class Matched:
    """Innermost: tells `Observing` which route answered, however often the scope was copied."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note the template that it matched."""
        try:
            await self.app(scope, receive, send)
        finally:
            if _SEEN in scope:
                scope[_SEEN]["route"] = _template(scope)


def _template(scope: Scope) -> str | None:
    """The matched route's template; FastAPI leaves out the prefix of the router it came with."""
    template: str | None = getattr(scope.get("route"), "path", None)
    if template is None or template.startswith("/api/"):
        return template
    return _API + template if route_path(scope).startswith(f"{_API}/") else template


def _name(scope: Scope) -> str:
    """The id that a proxy gave the request, or a new one."""
    given = Headers(scope=scope).get(REQUEST_ID, "")
    return given if _ID.fullmatch(given) else secrets.token_hex(8)


def _first_part(scope: Scope) -> str:
    part = route_path(scope).strip("/").partition("/")[0]
    return f"/{part}" if part in _FIRST_PARTS else _UNKNOWN
