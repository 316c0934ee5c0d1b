"""The web server's connections: how many there may be, and how long one may keep it waiting.

uvicorn bounds the size of a request's head and the pause between two requests. It waits for ever
for a head that does not come and for a client that does not read, and its limit on concurrency
answers a request but leaves the connection, and so the file descriptor, open.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from http import HTTPStatus

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from loop_studio.ui.refusals import Quota

CONNECTIONS = 800  # in all: beyond 1000 many systems let a process open no more files
PER_ADDRESS = 400  # a class behind one router may be one address; it never takes them all
HEAD_S = 20.0  # for a request's head, once the connection is open
STALL_S = 60.0  # for a client that reads nothing of what it asked for
STOP_GRACE_S = 3

log = logging.getLogger(__name__)


class Connection(H11Protocol):
    """uvicorn's connection, with an end to every wait."""

    _lines = Quota()  # in the log, of all connections
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, or say that there are too many."""
        super().connection_made(transport)
        if self._is_one_too_many():
            self._dismiss(503, "too_many_connections", "Too many connections; try again later.")
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_deadline()
        self._stop_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what is no whole request yet has a deadline."""
        super().data_received(data)
        self._expect_head()

    def pause_writing(self) -> None:
        """The client lags behind: it has a minute to take a part of what waits."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL_S, self._abandon)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stop_stall()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close; for good, where the client does not even take the end of its last answer."""
        super().timeout_keep_alive_handler()
        self._stalled = self._stalled or self.loop.call_later(STALL_S, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; a browser that was told https, for instance."""
        self._dismiss(
            400,
            "not_http",
            "This is no HTTP request that the studio can read; for https it needs a proxy.",
        )

    def _unsupported_upgrade_warning(self) -> None:
        """There are no websockets here: such a request is answered as a plain one."""

    def _is_one_too_many(self) -> bool:
        if len(self.connections) > CONNECTIONS:
            return True
        mine = _address_of(self)
        return sum(_address_of(other) == mine for other in self.connections) > PER_ADDRESS

    def _expect_head(self) -> None:
        waits = self.cycle is None or self.cycle.response_complete
        if not waits:
            self._stop_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_S, self._give_up)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _give_up(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()
        elif self.conn.trailing_data[0]:
            sentence = f"The head of the request did not arrive within {HEAD_S:g} seconds."
            self._dismiss(408, "too_slow", sentence)
        else:
            self.transport.close()  # browsers open connections before they need them

    def _abandon(self) -> None:
        log.warning("cut off %s: it read nothing for %g seconds", _address_of(self), STALL_S)
        self.transport.abort()

    def _dismiss(self, status: int, code: str, detail: str) -> None:
        where = _address_of(self)
        if self._lines.silent(where, time.monotonic()) is not None:
            log.warning("refused %d %s: a connection from %s: %s", status, code, where, detail)
        body = json.dumps({"detail": detail, "code": code}).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def configuration(app: ASGIApp) -> uvicorn.Config:
    """How the studio is served; `Proxies` believes proxy headers, so uvicorn does not."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        proxy_headers=False,
        server_header=False,
        log_config=None,  # its lines go where ours go
        log_level="warning",
        access_log=False,  # `Observing` says more, and nothing that is secret
        timeout_graceful_shutdown=STOP_GRACE_S,
    )
    # Said of every request that is none, without saying whose; `send_400_response` tells both.
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    return config


def _is_news(record: logging.LogRecord) -> bool:
    return record.msg != "Invalid HTTP request received."


def _address_of(connection: asyncio.Protocol) -> str:
    client = getattr(connection, "client", None)
    return str(client[0]) if client else "unknown"
