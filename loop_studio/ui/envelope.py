"""What surrounds every exchange inside the studio: the path it is about, and its headers."""

from __future__ import annotations

from starlette._utils import get_route_path
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop_studio.ui.answer_headers import surround


def route_path(scope: Scope) -> str:
    """The path below our root, by the very function that the router matches with.

    Private to Starlette and no other way to it: a guess of our own could differ from the router's,
    and a difference between the door and the router is a hole.
    """
    path: str = get_route_path(scope)
    return path


class AnswerHeaders:
    """Adds the headers that every answer carries."""

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
                surround(MutableHeaders(scope=message), path, scope["scheme"])
            await send(message)

        await self.app(scope, receive, send_with_headers)
