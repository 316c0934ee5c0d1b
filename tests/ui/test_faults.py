"""What befalls the data folder while people rate: a plain sentence, and on when it is mended.

Each test's name states what happens; docs/faults.md lists them all.
"""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event, select

from loop_studio.errors import DataFolderUnusable
from loop_studio.storage import database
from loop_studio.storage.groups import images
from loop_studio.storage.migration import migrate
from loop_studio.storage.schema import Image, Rating
from tests.ui.studio import Studio, add_group, is_problem

HOLD_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""

WEB = """
import sys, uvicorn
from pathlib import Path
from loop_studio.settings import Settings
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.ui.server import create_app
settings = Settings(data=Path(sys.argv[1]))
db = Database(settings.resolved_database_url)
app = create_app(settings, db, FileStore(settings.files), with_pages=False)
sys.stdin.readline()
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


def ratings(studio: Studio) -> list[str]:
    with studio.db.read() as session:
        return list(session.scalars(select(Rating.event_id).order_by(Rating.sequence)))


def refused(studio: Studio, body: dict[str, Any], code: str) -> str:
    """The sentence of a rating that cannot be taken now; the outbox tries it again."""
    answer = studio.rate(body)
    assert int(answer.headers["retry-after"]) >= 1
    return is_problem(answer, 503, code)


def test_a_killed_web_process_kept_what_it_acknowledged_and_takes_the_rest_once_it_is_back(
    studio_with: Callable[..., Studio],
) -> None:
    studio = studio_with()
    shown = [{"id": add_group(studio).id} for _ in range(8)]
    for group in shown:
        group["images"] = [{"id": image.id} for image in images(studio.db, group["id"])]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    first, second = (web_process(studio, port) for _ in range(2))
    acknowledged: list[str] = []
    with ThreadPoolExecutor(3) as raters:
        begin(first)
        sitting = partial(rate_all, port, acknowledged)
        for name in ("ada", "ben", "cleo"):
            raters.submit(sitting, [studio.rating(group, rater=name) for group in shown])
        end = time.monotonic() + 60
        while len(acknowledged) < 10 and time.monotonic() < end:
            time.sleep(0.001)
        first.kill()
        first.wait()
        kept = set(acknowledged)
        begin(second)
    assert kept <= set(ratings(studio))
    assert sorted(ratings(studio)) == sorted(acknowledged)
    assert len(acknowledged) == len(set(acknowledged)) == 24
    second.kill()
    second.wait()


def web_process(studio: Studio, port: int) -> subprocess.Popen[bytes]:
    """The web process; it listens from `begin` on, and has imported everything by then."""
    command = [sys.executable, "-c", WEB, str(studio.settings.data), str(port)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def begin(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


def rate_all(port: int, acknowledged: list[str], outbox: list[dict[str, Any]]) -> None:
    """Send each rating until it is acknowledged, as the Rate page's outbox does."""
    end = time.monotonic() + 120
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1") as client:
        while outbox and time.monotonic() < end:
            try:
                answer = client.post("/ratings", json=outbox[0])
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            assert answer.status_code == 200
            acknowledged.append(outbox.pop(0)["event_id"])


@pytest.mark.sqlite
@pytest.mark.parametrize("timeout_s", [0.2, pytest.param(10, marks=pytest.mark.soak)])
def test_a_locked_database_puts_a_rating_off_and_takes_it_once_it_is_free(
    studio_with: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch, timeout_s: float
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", timeout_s)
    studio = studio_with()
    add_group(studio)
    body = studio.rating(studio.next_group().json())
    studio.db.dispose()  # connections wait as long as was said when they were made
    with locked_by_another_process(studio):
        assert "busy" in refused(studio, body, "database_busy")
        assert studio.api("GET", "projects").status_code == 200, "looking goes on"
    assert studio.rate(body).status_code == 200
    assert ratings(studio) == [body["event_id"]]


@contextmanager
def locked_by_another_process(studio: Studio) -> Iterator[None]:
    command = [sys.executable, "-c", HOLD_LOCK, str(studio.db.file)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    yield
    holder.communicate()


@pytest.mark.sqlite
def test_a_full_disk_puts_a_rating_off_and_takes_it_once_there_is_room(
    studio_with: Callable[..., Studio],
) -> None:
    """The disk's end is SQLite's own: it may have no page more than it has."""
    studio = studio_with()
    add_group(studio)
    group = studio.next_group().json()
    bodies = [studio.rating(group, rater=f"r{n}") for n in range(200)]
    pages = [1]

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    event.listen(studio.db.engine, "checkout", limit)
    taken = []
    for body in bodies:
        answer = studio.rate(body)
        if answer.status_code != 200:
            break
        taken.append(body["event_id"])
    assert "The disk is full; free some space" in refused(studio, body, "data_folder_unusable")
    assert ratings(studio) == taken
    pages[0] = 1_000_000
    assert studio.rate(body).status_code == 200
    assert ratings(studio) == [*taken, body["event_id"]]


@pytest.mark.sqlite
def test_a_deleted_database_takes_no_rating_that_would_be_lost_and_goes_on_when_it_is_back(
    studio_with: Callable[..., Studio], tmp_path: Path
) -> None:
    studio = studio_with()
    for _ in range(2):
        add_group(studio)
    first, second = (studio.rating(studio.next_group(rater).json(), rater=rater) for rater in "ab")
    assert studio.rate(first).status_code == 200
    file, elsewhere = studio.db.file, tmp_path / "elsewhere.sqlite3"
    assert file is not None
    backup = tmp_path / "backup.sqlite3"
    with studio.db.engine.connect() as connection:
        database.copy_sqlite(connection, backup)
    file.rename(elsewhere)
    assert "is gone from the data folder" in refused(studio, second, "data_folder_unusable")
    assert studio.client.get("/healthz").status_code == 503
    with pytest.raises(DataFolderUnusable, match="while the files that it knows are there"):
        migrate(studio.settings)
    assert not file.exists(), "an empty one would be taken for the studio's own"
    elsewhere.rename(file)
    assert studio.rate(second).status_code == 200
    assert ratings(studio) == [first["event_id"], second["event_id"]]
    file.unlink()
    for beside in file.parent.glob(f"{file.name}-*"):
        beside.unlink()
    shutil.copyfile(backup, file)
    assert ratings(studio) == [first["event_id"]], "the one restored, not the one deleted"
    assert studio.rate(second).status_code == 200
    assert studio.client.get("/healthz").status_code == 200


@pytest.mark.sqlite
def test_a_damaged_database_says_so_and_nothing_is_written_to_it(
    studio_with: Callable[..., Studio],
) -> None:
    studio = studio_with()
    add_group(studio)
    body = studio.rating(studio.next_group().json())
    studio.db.dispose()
    file = studio.db.file
    assert file is not None
    with sqlite3.connect(file) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [(page,)] = plain.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ratings'")
        [(size,)] = plain.execute("PRAGMA page_size")
    with file.open("r+b") as damaged:
        damaged.seek((page - 1) * size)
        damaged.write(b"\xff" * size)
    assert "The database is damaged" in refused(studio, body, "data_folder_unusable")


def test_a_damaged_picture_is_not_shown_and_says_why(studio: Studio) -> None:
    add_group(studio)
    image = studio.next_group().json()["images"][0]
    with studio.db.read() as session:
        path = studio.files.path(session.get(Image, image["id"]).key)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    sentence = is_problem(studio.client.get(image["url"]), 404, "file_changed")
    assert "put it back from a backup" in sentence
    path.write_bytes(whole)
    assert studio.client.get(image["url"]).content == whole
