"""A local server that speaks OpenAI's chat completions, as much of it as the judge asks for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ChatServer:
    """What it shall answer, and what it was asked."""

    answers: list[str] = field(default_factory=lambda: ['{"score": 7}'])  # the last one stays
    status: int = 200
    delay_s: float = 0.0
    body: bytes | None = None  # instead of a completion
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: dict[str, Any], headers: dict[str, str]) -> bytes:
        with self.lock:
            self.asked.append(request)
            self.headers.append(headers)
            said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        time.sleep(self.delay_s)
        message = {"role": "assistant", "content": said}
        return self.body or json.dumps({"choices": [{"index": 0, "message": message}]}).encode()


@contextmanager
def chat_server(**conduct: Any) -> Iterator[ChatServer]:
    server = ChatServer(**conduct)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length))
            assert self.path == "/v1/chat/completions"
            body = server.answer(request, dict(self.headers))
            self.send_response(server.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
