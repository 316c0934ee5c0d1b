"""Request bodies before any route sees them: at most 1 MiB, and JSON where the API is asked.

Imports of lists are the exception: `loop_studio.ui.list_files` takes those in, piece by piece.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop_studio.ui.envelope import route_path
from loop_studio.ui.problems import problem

LARGEST = 1024 * 1024
UPLOADS = re.compile(r"/api/v1/projects/[^/]+/(prompts|ratings)/import")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Bodies:
    """Reads a body whole, refuses a large or foreign one, and gives `{}` for none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body in memory."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY or _is_upload(scope):
            await self.app(scope, receive, send)
            return
        body = await _read(scope, receive)
        if body is None:
            refusal = problem(413, "too_large", "The request is larger than 1 MiB.")
            await refusal(scope, receive, send)
            return
        if route_path(scope).startswith("/api/"):
            if body and not _is_json(scope):
                refusal = problem(
                    415,
                    "unsupported_media_type",
                    "The body must be JSON, sent with Content-Type: application/json.",
                )
                await refusal(scope, receive, send)
                return
            scope, body = _as_json(scope), body or b"{}"
        await self.app(scope, _replay(body, receive), send)


def _is_upload(scope: Scope) -> bool:
    return scope["method"] == "POST" and UPLOADS.fullmatch(route_path(scope)) is not None


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body, or None if it is too large or the client went away."""
    announced = Headers(scope=scope).get("content-length", "0")
    if announced.isdecimal() and (len(announced) > 12 or int(announced) > LARGEST):
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST or message["type"] == "http.disconnect":
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _is_json(scope: Scope) -> bool:
    kind = Headers(scope=scope).get("content-type", "").split(";")[0]
    return kind.strip().lower() == "application/json"


def _as_json(scope: Scope) -> Scope:
    headers = MutableHeaders(raw=list(scope["headers"]))
    headers["content-type"] = "application/json"
    return {**scope, "headers": headers.raw}


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
