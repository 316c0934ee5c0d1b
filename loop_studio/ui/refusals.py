"""One line in the log for every request that is refused: who asked, for what, and why not."""

from __future__ import annotations

import json
import logging
import re
import time
from collections import OrderedDict
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop_studio.ui.envelope import route_path

LINES_PER_MINUTE = 60  # of one address; a flood must not fill the disk
HEALTH = "/healthz"
_ADDRESSES = 1024  # remembered at most
_SECRET = re.compile(r"[\w-]{20,}")
_LONGEST = 200  # characters of a part of the line
_WHY = "loop_studio.why"  # in the scope: one list for all copies of it
# What a person meets at work with the pages, as against what a page that works never sends.
_ORDINARY = frozenset({404, 409, 422})

log = logging.getLogger(__name__)


class Refusals:
    """Writes a line as an answer of status 400 or above goes out.

    Never the query, the body or a header but `Origin`: these may hold what is secret.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._quota = Quota()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and look at its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = route_path(scope)  # before a mount takes its part off
        scope[_WHY] = []
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status >= 400 and path != HEALTH:  # its 503 refuses nobody
                self._tell(scope, path, status, message.get("body", b""))
                status = 0
            await send(message)

        await self.app(scope, receive, watched)

    def _tell(self, scope: Scope, path: str, status: int, body: bytes) -> None:
        address = scope["client"][0] if scope.get("client") else "unknown"
        silent = self._quota.silent(address, time.monotonic())
        if silent is None:
            return
        code, detail = _reason(status, body, scope[_WHY])
        origin = Headers(scope=scope).get("origin")
        who = getattr(scope.get("principal"), "name", None)
        log.log(
            logging.INFO if status in _ORDINARY else logging.WARNING,
            "refused %d %s: %s %s from %s%s%s: %s%s",
            status,
            code,
            scope["method"],
            plain_text(_without_secret(path)),
            address,
            f", as {plain_text(who)}" if who else "",
            f" with Origin {plain_text(origin)}" if origin else "",
            plain_text(detail),
            f" ({silent} more of this address were not written down)" if silent else "",
        )


def explain(request: HTTPConnection, sentence: str) -> None:
    """Give the log the reason that a refusal's page tells in words; JSON is read by itself."""
    request.scope.get(_WHY, []).append(sentence)


class Quota:
    """How many lines each address has left in this minute."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()  # address -> minute, requests

    def silent(self, address: str, now: float) -> int | None:
        """None if this request gets no line, else how many got none before it."""
        minute = int(now // 60)
        then, count = self._seen.pop(address, (minute, 0))
        passed_over = max(0, count - LINES_PER_MINUTE) if then != minute else 0
        count = 1 if then != minute else count + 1
        self._seen[address] = (minute, count)
        if len(self._seen) > _ADDRESSES:
            self._seen.popitem(last=False)
        return passed_over if count <= LINES_PER_MINUTE else None


def _without_secret(path: str) -> str:
    """Links that let someone in end in a secret; ids of the API are none, and help."""
    return path if path.startswith("/api/") else _SECRET.sub("...", path)


def plain_text(text: str) -> str:
    """At most 200 characters on one line: what a client sends must not write lines of its own."""
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in shown)


def _reason(status: int, body: bytes, why: list[str]) -> tuple[str, str]:
    if why:
        return "page", why[-1]
    try:
        problem = json.loads(body)
        return str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):  # a page, or an answer of Gradio's
        return "page", HTTPStatus(status).phrase
