"""Clients that keep a connection waiting, and more connections than there may be; real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from loop_studio.ui import connections, pace
from tests.ui.conftest import studio_in

BLOCK = b"x" * 2**20


async def lavish(scope, receive, send) -> None:
    """Answers with more than any buffer holds."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(200):
        await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def port(started, tmp_path_factory) -> Iterator[int]:
    """A studio whose patience is short."""
    short = pytest.MonkeyPatch()
    for module, name, value in (
        (connections, "HEAD_S", 0.3),
        (connections, "STALL_S", 0.3),
        (connections, "CONNECTIONS", 6),
        (connections, "PER_ADDRESS", 4),
        (pace, "GRACE_S", 0.3),
    ):
        short.setattr(module, name, value)
    studio = studio_in(started, tmp_path_factory.mktemp("connections") / "data")

    async def app(scope, receive, send) -> None:
        chosen = lavish if scope.get("path") == "/lavish" else studio.app
        await chosen(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(connections.configuration(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(timeout=20)
    short.undo()
    studio.db.dispose()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def rest(line: socket.socket) -> bytes:
    """Everything until the studio closes."""
    return b"".join(iter(lambda: line.recv(65536), b""))


def refusal(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert problem["detail"].endswith(".")
    return int(head.split()[1]), problem["code"]


def head(port: int, *lines: str) -> bytes:
    return "\r\n".join([*lines, f"Host: 127.0.0.1:{port}", "", ""]).encode()


def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(port, caplog) -> None:
    with connect(port) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127")
        assert refusal(rest(line)) == (408, "too_slow")
    assert "refused 408 too_slow: a connection from 127.0.0.1" in caplog.text


def test_a_head_that_trickles_in_is_not_either(port) -> None:
    with connect(port) as line:
        line.settimeout(0.02)
        answer, end = b"", time.monotonic() + 5
        while not answer and time.monotonic() < end:
            line.sendall(b"G")
            with contextlib.suppress(TimeoutError):
                answer = line.recv(65536)
    assert refusal(answer) == (408, "too_slow")


def test_a_connection_on_which_nothing_is_asked_is_closed_without_a_word(port, caplog) -> None:
    with connect(port) as line:
        assert rest(line) == b""
    assert "refused" not in caplog.text


def test_a_second_request_has_its_time_too(port) -> None:
    with connect(port) as line:
        line.sendall(head(port, "GET /healthz HTTP/1.1"))
        assert b"200 OK" in line.recv(65536)
        line.sendall(b"GET /hea")
        assert b"408 Request Timeout" in rest(line)


def test_a_body_that_does_not_come_is_not_waited_for(port, caplog) -> None:
    for length in ("Content-Length: 100000", "Transfer-Encoding: chunked"):
        kind = "Content-Type: application/json"
        with connect(port) as line:
            line.sendall(head(port, "POST /api/v1/projects HTTP/1.1", kind, length) + b"1\r\n")
            assert refusal(rest(line)) == (408, "too_slow")
    assert "refused 408 too_slow: POST /api/v1/projects from 127.0.0.1" in caplog.text


def test_a_file_that_does_not_come_is_not_waited_for(port) -> None:
    kind = "Content-Type: application/octet-stream"
    with connect(port) as line:
        lines = ("POST /api/v1/project-imports?name=x HTTP/1.1", kind, "Connection: close")
        line.sendall(head(port, *lines, "Content-Length: 1000") + b"PK")
        assert refusal(rest(line)) == (408, "too_slow")


def test_who_reads_nothing_of_an_answer_is_cut_off(port, caplog) -> None:
    with connect(port) as line:
        line.sendall(head(port, "GET /lavish HTTP/1.1"))
        time.sleep(1.0)
        assert len(rest(line)) < 100 * len(BLOCK)  # what was on its way
    assert "cut off 127.0.0.1: it read nothing" in caplog.text


def test_what_is_no_http_is_told_so(port) -> None:
    hello = bytes.fromhex("16030100f1010000ed0303") + bytes(230)  # TLS, as a browser begins
    with connect(port) as line:
        line.sendall(hello)
        assert refusal(rest(line)) == (400, "not_http")


def test_one_address_does_not_take_every_connection(port, caplog) -> None:
    lines = [connect(port) for _ in range(5)]
    answered = [line for line in lines if b"503" in rest(line)]
    assert len(answered) == 1
    assert "too_many_connections: a connection from 127.0.0.1" in caplog.text
    for line in lines:
        line.close()
    with connect(port) as line:
        line.sendall(head(port, "GET /healthz HTTP/1.1", "Connection: close"))
        assert rest(line).startswith(b"HTTP/1.1 200")


def test_an_upgrade_to_a_websocket_is_no_way_in(port) -> None:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    with connect(port) as line:
        line.sendall(head(port, "GET /gradio_api/queue HTTP/1.1", *upgrade, key))
        assert line.recv(65536).startswith(b"HTTP/1.1 404")
