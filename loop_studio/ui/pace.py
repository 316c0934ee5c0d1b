"""How slowly a body may arrive: a client that keeps a request open must get on with it."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop_studio.errors import TooSlow
from loop_studio.ui.problems import problem

GRACE_S = 30.0
LEAST_BYTES_PER_S = 1024


class Pace:
    """Refuses a body that is not here after 30 seconds and one more for every KiB of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; whoever reads its body meets `TooSlow` when it lags behind."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, _paced(receive), send)
        except TooSlow as error:  # read by the middleware; a route's is answered as all its errors
            refusal = problem(
                error.status, error.code, error.detail, headers={"Connection": "close"}
            )
            await refusal(scope, receive, send)


def _paced(receive: Receive) -> Receive:
    began = asyncio.get_running_loop().time()
    size, is_whole = 0, False

    async def paced() -> Message:
        nonlocal size, is_whole
        if is_whole:  # waits for the client to go away, which may take its time
            return await receive()
        try:
            async with asyncio.timeout_at(began + GRACE_S + size / LEAST_BYTES_PER_S):
                message = await receive()
        except TimeoutError:
            seconds = asyncio.get_running_loop().time() - began
            raise TooSlow(
                f"Only {size} bytes of the body arrived in {seconds:.0f} seconds; send it again "
                "over a better line."
            ) from None
        size += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        return message

    return paced
