"""A whole web server over a real SQLite database, without pages unless a test asks for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from loop_studio.settings import Settings
from loop_studio.storage import projects
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.ui.server import create_app
from tests.ui.people import person
from tests.ui.studio import PASSWORD, PROMPTS, Studio


@pytest.fixture(scope="session")
def started(migrated_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the starter project, to be copied and never served."""
    data = tmp_path_factory.mktemp("started") / "data"
    shutil.copytree(migrated_data, data)
    db = Database(Settings(data=data).resolved_database_url)
    projects.ensure_starter(db, "starter", PROMPTS)
    db.dispose()
    return data


def studio_in(
    started: Path, data: Path, app: FastAPI | None = None, with_pages: bool = False, **values: Any
) -> Studio:
    """A studio over a data folder of its own; an `app` already made is given the new stores."""
    shutil.copytree(started, data)
    settings = Settings(data=data, **values)
    db, files = Database(settings.resolved_database_url), FileStore(settings.files)
    if app is None:
        app = create_app(settings, db, files, with_pages=with_pages)
    app.state.settings, app.state.database, app.state.files = settings, db, files
    return Studio(app, settings, db, files)


@pytest.fixture
def studio_with(started: Path, tmp_path: Path) -> Iterator[Callable[..., Studio]]:
    """Makes a studio with other settings than the usual ones."""
    made: list[Studio] = []

    def make(**values: Any) -> Studio:
        made.append(studio_in(started, tmp_path / f"data-{len(made)}", **values))
        return made[-1]

    yield make
    for studio in made:
        studio.db.dispose()


@pytest.fixture(scope="session")
def open_app(started: Path, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """A server that asks for nothing. Making one takes longer than most tests, so they share it."""
    return studio_in(started, tmp_path_factory.mktemp("open") / "data").app


@pytest.fixture
def studio(started: Path, open_app: FastAPI, tmp_path: Path) -> Iterator[Studio]:
    """A studio on loopback that asks for nothing."""
    studio = studio_in(started, tmp_path / "data", open_app)
    with studio.client:
        yield studio
    studio.db.dispose()


@pytest.fixture
def boss(studio: Studio) -> TestClient:
    """An administrator, signed in."""
    return person(studio, "Bo", "administrator")


@pytest.fixture
def locked(studio_with: Callable[..., Studio]) -> Studio:
    """A studio with a password."""
    return studio_with(password=PASSWORD)


@pytest.fixture(scope="module")
def reader(started: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One open studio for all tests of a module that change nothing."""
    studio = studio_in(started, tmp_path_factory.mktemp("reader") / "data")
    with studio.client:
        yield studio
    studio.db.dispose()


@pytest.fixture(scope="module")
def locked_reader(started: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One studio with a password for all tests of a module that never sign in."""
    data = tmp_path_factory.mktemp("locked") / "data"
    studio = studio_in(started, data, password=PASSWORD)
    with studio.client:
        yield studio
    studio.db.dispose()
