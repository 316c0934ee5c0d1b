"""A web server under test, the rows a worker would make for it, and the shape of its errors."""

from __future__ import annotations

import asyncio
import itertools
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI
from fastapi.testclient import TestClient

from loop_studio.settings import Settings
from loop_studio.storage import groups, projects, prompts, versions
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore, new_key
from loop_studio.ui.server import create_app

HOST = "127.0.0.1:7860"
ORIGIN = f"http://{HOST}"
PASSWORD = "correct horse"
PROMPTS = [("a red circle", []), ("a blue star", []), ("a green tree on the moon", ["moon"])]


def png(shade: int) -> bytes:
    """One grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes([0, shade % 256]))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@dataclass
class Studio:
    """One server under test and the stores behind it."""

    app: FastAPI
    settings: Settings
    db: Database
    files: FileStore
    origin: str = ORIGIN

    def __post_init__(self) -> None:
        self.client = self._client(self.app)
        self._events = itertools.count(1)

    @property
    def project(self) -> str:
        """The id of the starter project."""
        return projects.all(self.db)[0].id

    def api(self, method: str, path: str, json: Any = None, **options: Any) -> Any:
        """One request below /api/v1."""
        if json is not None:
            options["json"] = json
        return self.client.request(method, f"/api/v1/{path}", **options)

    def over_https(self) -> TestClient:
        return self._client(self.app, f"https://{HOST}")

    def restarted(self, **changes: Any) -> TestClient:
        settings = self.settings.model_copy(update={})
        values = {**settings.model_dump(), "password": PASSWORD, **changes}
        return self._client(create_app(Settings(**values), self.db, self.files, with_pages=False))

    def raw(self, method: str, path: str, **headers: str) -> Answer:
        """A request whose path no client has tidied up."""
        asked = self._ask(method, path, headers)
        with ThreadPoolExecutor(1) as thread:  # this one may run a browser's event loop
            return thread.submit(asyncio.run, asked).result()

    async def _ask(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        sent: list[dict[str, Any]] = []
        names = {"host": HOST, **headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path.partition("?")[0]),
            "raw_path": path.encode(),
            "query_string": path.partition("?")[2].encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 7860),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        return Answer(sent[0]["status"], body)

    def rating(self, group: dict[str, Any], best: int = 0, **changes: Any) -> dict[str, Any]:
        """The body of a best-of-k rating of a group as it was served."""
        ids = [image["id"] for image in group["images"]]
        return {
            "event_id": f"event-{next(self._events)}",
            "group_id": group["id"],
            "rater": "ada",
            "mode": "best",
            "judgement": {image: float(place == best) for place, image in enumerate(ids)},
            "order": ids,
            "elapsed_ms": 1200,
            **changes,
        }

    def next_group(self, rater: str = "ada", **query: Any) -> Any:
        """What this rater is shown next."""
        path = f"projects/{self.project}/groups/next"
        return self.api("GET", path, params={"rater": rater, **query})

    def rate(self, body: dict[str, Any]) -> Any:
        """Send a rating."""
        return self.api("POST", "ratings", json=body)

    @staticmethod
    def _client(app: FastAPI, base: str = ORIGIN) -> TestClient:
        return TestClient(
            app, base_url=base, raise_server_exceptions=False, client=("127.0.0.1", 50000)
        )


@dataclass
class Answer:
    """What a raw request got."""

    status_code: int
    body: bytes


def add_group(studio: Studio, project_id: str | None = None, shade: int = 0) -> Any:
    """A finished group of four grey pixels, as a worker would record it."""
    project_id = project_id or studio.project
    revision_id = projects.get(studio.db, project_id).revision_id
    images = [
        groups.NewImage(place, 100 + place, 1, 1, stored(studio, png(shade + place), ".png"))
        for place in range(4)
    ]
    prompt = prompts.active(studio.db, project_id)[0]
    live = versions.live(studio.db, project_id)
    trajectory = stored(studio, b"trajectory", ".safetensors")
    return groups.record(
        studio.db, None, project_id, prompt.id, live.id, revision_id, images, trajectory
    )


def stored(studio: Studio, data: bytes, suffix: str) -> Any:
    return studio.files.put(new_key(suffix), data)


def is_problem(answer, status_code, code):
    body = answer.json()
    assert answer.status_code == status_code, body
    assert body["code"] == code
    assert isinstance(body["detail"], str)
    assert body["detail"].endswith(".") or status_code == 422, body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return body["detail"]
