"""A real studio behind a real port, and a person's browser in front of it."""

from __future__ import annotations

import asyncio
import io
import random
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import uvicorn
from PIL import Image, ImageDraw
from playwright.sync_api import Page

from loop_studio.settings import Settings
from loop_studio.storage import exporting, groups, projects, prompts, versions
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore, new_key
from loop_studio.storage.schema import Project
from loop_studio.ui.connections import configuration
from loop_studio.ui.server import create_app

COLOURS = ["#d33a2c", "#2f62c9", "#35a556", "#e8a013", "#8e35c4", "#202020"]


def picture(seed: int) -> bytes:
    """A small real PNG: a shape or two on a plain ground."""
    draw = random.Random(seed)
    image = Image.new("RGB", (64, 64), draw.choice(["#f4f1ea", "#dfe8f2", "#222838"]))
    pen = ImageDraw.Draw(image)
    for _ in range(2):
        side, x, y = draw.randint(14, 30), draw.randint(2, 32), draw.randint(2, 32)
        form = pen.ellipse if draw.random() < 0.5 else pen.rectangle
        form([x, y, x + side, y + side], fill=draw.choice(COLOURS))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


class Stall:
    """Every request waits while the line is stalled."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.until = 0.0

    def hold(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(max(0.0, self.until - time.monotonic()))
        await self.app(scope, receive, send)


class Studio:
    """The web process alone, in a thread; `stop` and `start` are a restart on the same port."""

    def __init__(self, settings: Settings, db: Database, files: FileStore) -> None:
        self.settings, self.db, self.files = settings, db, files
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.line = Stall(create_app(self.settings, self.db, self.files))
        config = configuration(self.line)
        config.timeout_graceful_shutdown = 1
        self.server = uvicorn.Server(config)
        sockets = [socket.create_server(("127.0.0.1", self.port))]
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": sockets}, daemon=True
        )
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "the web server did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=10)

    def project(self, texts: Iterable[str] = ("a red fish",), **values: object) -> Project:
        quiet = {"auto_update_groups": None, "buffer_groups": 1}
        listed = [(text, []) for text in texts]
        return projects.create(self.db, "Test", "starter", listed, {**quiet, **values})

    def make_groups(self, project: Project, count: int) -> None:
        """Finished groups, as the worker would record them."""
        listed = prompts.active(self.db, project.id)
        live = versions.live(self.db, project.id)
        revision = projects.get(self.db, project.id).revision_id
        size = projects.config(self.db, project.id).group_size
        for number in range(count):
            seeds = [1000 * number + place for place in range(size)]
            images = [
                groups.NewImage(place, seed, 64, 64, self.files.put(new_key(".png"), picture(seed)))
                for place, seed in enumerate(seeds)
            ]
            trajectory = self.files.put(new_key(".safetensors"), b"none is needed here")
            prompt = listed[number % len(listed)].id
            groups.record(self.db, None, project.id, prompt, live.id, revision, images, trajectory)

    def rows(self, project: Project) -> list[dict[str, Any]]:
        """Every rating event of the project, in order of arrival."""
        return [row.values() for row in exporting.rows(self.db, project.id)]

    def wait_for_rows(self, page: Page, project: Project, count: int) -> Sequence[Any]:
        """The rows as soon as there are `count`; `page` may go on answering meanwhile."""
        end = time.monotonic() + 30
        while len(rows := self.rows(project)) < count and time.monotonic() < end:
            page.wait_for_timeout(50)
        return rows


class Rater:
    """A person at the Rate page, or at the same without Gradio: `rate/plain`."""

    def __init__(
        self, page: Page, studio_url: str, project_id: str, name: str = "Ada", path: str = "rate"
    ) -> None:
        self.page = page
        self.url = f"{studio_url}/{path}?project={project_id}"
        self.name = name

    def arrive(self) -> None:
        self.page.goto(self.url)
        name = self.page.get_by_label("Your name")
        name.fill(self.name)
        name.press("Enter")
        self.wait_for_group()

    def wait_for_group(self, other_than: str | None = None) -> str:
        """The id of the group on screen, once it is painted."""
        self.page.wait_for_function(
            """old => {
                const rater = document.querySelector("loop-rater");
                return rater?.dataset.state === "painted" && rater.dataset.group !== old;
            }""",
            arg=other_than,
            polling=10,
        )
        group = self.page.locator("loop-rater").get_attribute("data-group")
        assert group
        return group

    def shown(self) -> list[str]:
        """The ids of the pictures on screen, in their places."""
        return self.page.locator("loop-rater .slot img").evaluate_all(
            "images => images.map(image => new URL(image.src).pathname.split('/').at(-1))"
        )

    def press(self, key: str) -> str:
        """Press a key and wait for the next group; its id."""
        before = self.wait_for_group()
        self.page.keyboard.press(key)
        return self.wait_for_group(other_than=before)

    def wait_until_sent(self) -> None:
        self.page.wait_for_selector("loop-rater[data-waiting='0']", state="attached")
