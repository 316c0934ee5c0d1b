"""Request bodies before any route sees them: at most 1 MiB, and JSON where the API is asked.

Files are sent to the few routes that take them, which read them piece by piece: `uploads.py`,
`list_files.py`.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop_studio.ui.envelope import route_path
from loop_studio.ui.problems import problem

LARGEST = 1024 * 1024
FILE = "application/octet-stream"
_LISTS = re.compile(r"/api/v1/projects/[^/]+/(prompts|ratings)/import")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_FILES = re.compile(r"/api/v1/(projects/[^/]+/(imports|trials/picture)|project-imports)")


class Bodies:
    """Reads a body whole, refuses a large or foreign one, and gives `{}` for none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body in memory."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY or _is_list(scope):
            await self.app(scope, receive, send)
            return
        if scope["method"] == "POST" and _FILES.fullmatch(route_path(scope)):
            await self._file(scope, receive, send)
            return
        body = await _read(scope, receive)
        if body is None:
            refusal = problem(413, "too_large", "The request is larger than 1 MiB.")
            await refusal(scope, receive, send)
            return
        if route_path(scope).startswith("/api/"):
            if body and _kind(scope) != "application/json":
                await _foreign("JSON", "application/json")(scope, receive, send)
                return
            scope, body = _as_json(scope), body or b"{}"
        await self.app(scope, _replay(body, receive), send)

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a file on unread."""
        if _kind(scope) != FILE:
            await _foreign("the file itself", FILE)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_list(scope: Scope) -> bool:
    return scope["method"] == "POST" and _LISTS.fullmatch(route_path(scope)) is not None


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


def _kind(scope: Scope) -> str:
    kind = Headers(scope=scope).get("content-type", "").split(";")[0]
    return kind.strip().lower()


def _foreign(what: str, kind: str) -> Response:
    sentence = f"The body must be {what}, sent with Content-Type: {kind}."
    return problem(415, "unsupported_media_type", sentence)


def _as_json(scope: Scope) -> Scope:
    headers = MutableHeaders(raw=list(scope["headers"]))
    headers["content-type"] = "application/json"
    return {**scope, "headers": headers.raw}


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
