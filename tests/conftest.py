"""What tests in several folders share: pinned threads, a data folder, a database, a browser."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import create_engine, make_url

from loop_studio.settings import Settings
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.migration import migrate

# Nothing above imports torch, so it will see these. Threads that spin while they idle would
# starve the studio under test.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
for name in [name for name in os.environ if name.startswith("LOOP_STUDIO_")]:
    del os.environ[name]  # tests say what they want; the shell they run in has no say

# The same examples every time, and no deadline: a busy machine is not a wrong answer.
hypothesis_settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis_settings.load_profile("steady")

# Where given, every test that uses `db` runs on this PostgreSQL server: `make postgresql`.
POSTGRESQL = os.environ.get("TEST_POSTGRESQL", "")
BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium. `make test` finds or installs one; here a missing one is a failure."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("The browser tests need Chromium: run `make test`, or set CHROMIUM.")
    return found


@pytest.fixture(scope="session")
def migrated_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder at the newest schema, to be copied and never opened."""
    data = tmp_path_factory.mktemp("migrated")
    migrate(Settings(data=data))
    return data


@pytest.fixture(scope="session")
def postgresql_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database at the newest schema on the server of `POSTGRESQL`, to be copied."""
    name = f"loop_template_{secrets.token_hex(4)}"
    on_server(f"CREATE DATABASE {name}")
    migrate(Settings(data=tmp_path_factory.mktemp("postgresql"), database_url=database_url(name)))
    yield name
    on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_data: Path
) -> Iterator[Settings]:
    """Settings of a studio with a data folder of its own, migrated and empty."""
    data = tmp_path / "data"
    shutil.copytree(migrated_data, data)
    if not POSTGRESQL:
        yield Settings(data=data, port=0, device="cpu")
        return
    name = f"loop_test_{secrets.token_hex(4)}"
    template = request.getfixturevalue("postgresql_template")
    on_server(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield Settings(data=data, port=0, device="cpu", database_url=database_url(name))
    on_server(f"DROP DATABASE {name} WITH (FORCE)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a server, tests of what only SQLite does are left out."""
    if POSTGRESQL:
        reason = "tests what only SQLite does"
        for item in items:
            if item.get_closest_marker("sqlite"):
                item.add_marker(pytest.mark.skip(reason=reason))


def on_server(statement: str) -> None:
    """Run one statement outside of any transaction."""
    engine = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def database_url(name: str) -> str:
    """URL of a database on the server."""
    return make_url(POSTGRESQL).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    """The database of `settings`."""
    database = Database(settings.resolved_database_url)
    yield database
    database.dispose()


@pytest.fixture
def files(settings: Settings) -> FileStore:
    """The file store of `settings`."""
    return FileStore(settings.files)
