"""What of Gradio can be reached: its pages, and the few addresses that these ask for.

A page places web components and binds no event of Gradio's. So all of `/gradio_api` is shut, which
Gradio offers every visitor: running functions, its queue and event streams, taking files and
serving them, recorded runs, fetching from other sites, the description of all that.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop_studio.ui.answer_headers import POLICY_HEADER, gradio_policy
from loop_studio.ui.envelope import route_path
from loop_studio.ui.problems import problem

_ASKED_FOR = re.compile(r"/(theme\.css|manifest\.json|assets/[\w./-]+)", re.ASCII)
_SENTENCE = "There is nothing at this address; the studio's pages begin at /rate."


class Gate:
    """Stands between the studio and Gradio."""

    def __init__(self, app: ASGIApp, pages: Collection[str]) -> None:
        self.app = app
        self.pages = frozenset(pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what the pages need; a page gets its policy on the way out."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        path = route_path(scope)
        reads = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        if reads and path in self.pages:
            await self._page(scope, receive, send)
        elif reads and path.rstrip("/") in self.pages:
            await RedirectResponse(_without_slash(scope, path), 307)(scope, receive, send)
        elif reads and _ASKED_FOR.fullmatch(path):
            await self.app(scope, receive, send)
        else:
            await problem(404, "not_found", _SENTENCE)(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self.app(scope, receive, hold)
        page = b"".join(message.get("body", b"") for message in held)
        [start] = [message for message in held if message["type"] == "http.response.start"]
        MutableHeaders(scope=start)[POLICY_HEADER] = gradio_policy(page)
        for message in held:
            await send(message)


def _without_slash(scope: Scope, path: str) -> str:
    query = scope["query_string"].decode("latin-1")
    root = scope.get("root_path", "")
    return f"{root}{path.rstrip('/')}" + (f"?{query}" if query else "")
