"""A real studio as a subprocess, spoken to through its JSON API, as outside clients do."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loop_studio.settings import STARTER, Settings
from loop_studio.starter.prompts import STARTER_PROMPTS
from loop_studio.storage import projects
from loop_studio.storage.database import Database
from loop_studio.storage.migration import migrate

ROOT = Path(__file__).resolve().parents[1]


class Studio:
    """`python app.py` on a data folder of its own; a context manager that stops it again.

    Without `starter` the project of a first start is archived before any worker sees it.
    """

    command: tuple[str, ...] = ()  # the part of the studio that answers; the whole if empty

    def __init__(
        self, data: Path, threads: int = 2, port: int | None = None, *, starter: bool = False
    ) -> None:
        self.data = data
        self.port = port or _free_port()
        self.starter = starter
        self._threads = str(threads)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", timeout=60.0)

    def __enter__(self) -> Studio:
        """Start it and wait until the worker is ready."""
        if not self.starter:
            archive_starter(self.data)
        self.process = self.start(*self.command)
        self.wait(lambda: "status" in self.health(), 180)
        self.wait(lambda: self.health()["worker"]["state"] in {"ready", "busy"}, 180)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it as a person would, and wait."""
        stop(self.process)
        self.client.close()

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """The studio, or a part of it, as a process."""
        return subprocess.Popen(
            [sys.executable, "app.py", *command],
            cwd=ROOT,
            env={
                **os.environ,
                "LOOP_STUDIO_DATA": str(self.data),
                "LOOP_STUDIO_PORT": str(self.port),
                "OMP_NUM_THREADS": self._threads,
            },
        )

    def health(self) -> dict[str, Any]:
        """`GET /healthz`, or a worker of state none while nothing answers."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5)
            return answer.json() if answer.status_code == 200 else {"worker": {"state": "none"}}
        except httpx.HTTPError:
            return {"worker": {"state": "none"}}

    def wait(self, condition: Any, seconds: float, every: float = 0.2) -> None:
        """Wait for a condition, while the studio lives."""
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise RuntimeError(f"the studio ended with status {self.process.returncode}")
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s")
            time.sleep(every)

    def get(self, path: str, **parameters: Any) -> Any:
        """JSON of a GET."""
        return self.client.get(path, params=parameters).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """JSON of a POST."""
        return self.client.post(path, json=body or {}).raise_for_status().json()

    def next_group(self, project: str, rater: str, seconds: float = 120) -> dict[str, Any]:
        """The next group for a rater, waiting while none is ready."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = self.client.get(f"/projects/{project}/groups/next", params={"rater": rater})
            if answer.status_code == 200:
                group: dict[str, Any] = answer.json()
                return group
            answer.raise_for_status()
            time.sleep(0.3)
        raise TimeoutError("no group became ready")

    def pictures(self, images: list[dict[str, Any]]) -> NDArray[np.uint8]:
        """The pictures behind image records, (N, H, W, 3)."""
        return np.stack([self._picture(image["url"]) for image in images])

    def update(self, project: str, seconds: float = 900) -> dict[str, Any]:
        """Fine-tune now, and wait for the end; raises RuntimeError unless it succeeds."""
        update = self.post(f"/projects/{project}/updates")
        end = time.monotonic() + seconds
        while update["status"] in {"queued", "running", "paused"}:
            if time.monotonic() > end:
                raise TimeoutError("the update did not end")
            time.sleep(0.3)
            update = self.get(f"/updates/{update['id']}")
        if update["status"] != "succeeded":
            raise RuntimeError(f"update {update['number']}: {update['error']}")
        return dict(update)

    def samples(
        self, project: str, prompts: list[str], seeds: list[int], version: int
    ) -> tuple[NDArray[np.uint8], list[str]]:
        """Every prompt with every seed under one version: pictures and their prompts."""
        pictures, texts = [], []
        at_once = 256 // len(seeds)
        for start in range(0, len(prompts), at_once):
            body = {"prompts": prompts[start : start + at_once], "seeds": seeds, "version": version}
            wanted = self.post(f"/projects/{project}/samples", body)
            while wanted["status"] in {"queued", "running", "paused"}:
                time.sleep(0.5)
                wanted = self.get(f"/samples/{wanted['id']}")
            if wanted["status"] != "succeeded":
                raise RuntimeError(f"samples ended as {wanted['status']}")
            pictures.append(self.pictures(wanted["images"]))
            texts += [image["prompt"] for image in wanted["images"]]
        return np.concatenate(pictures), texts

    def _picture(self, url: str) -> NDArray[np.uint8]:
        answer = self.client.get(f"http://127.0.0.1:{self.port}{url}").raise_for_status()
        return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def archive_starter(data: Path) -> None:
    """Make the project of a first start, archived: a worker may be ready long before the pages."""
    settings = Settings(data=data)
    migrate(settings)
    db = Database(settings.resolved_database_url)
    projects.ensure_starter(db, STARTER, [(text, []) for text in STARTER_PROMPTS])
    projects.change(db, projects.STARTER_ID, archived=True)
    db.dispose()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process as a person would, and wait."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(70)
    except subprocess.TimeoutExpired:
        process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
