"""Chromium, a studio per test, and a page that fails a test when its script does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy import update

from loop_studio.settings import Settings
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.schema import Worker
from tests.browser.studio import Studio

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # this machine and no other
]

PATIENCE_MS = 30_000  # a busy machine is slow, not wrong; what must be quick says so itself
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@contextmanager
def begun(data: Path, migrated_data: Path) -> Iterator[Studio]:
    """A studio on a new data folder, until the end of the block."""
    shutil.copytree(migrated_data, data)
    settings = Settings(data=data, port=0, device="cpu")
    db = Database(settings.resolved_database_url)
    running = Studio(settings, db, FileStore(settings.files))
    yield running
    running.stop()
    db.dispose()


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, migrated_data: Path) -> Iterator[Studio]:
    """One studio for all tests; each works on a project of its own."""
    with begun(tmp_path_factory.mktemp("studio") / "data", migrated_data) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path, migrated_data: Path) -> Iterator[Studio]:
    """A studio that no other test uses: nobody else signs in, and its worker has no other work."""
    with begun(tmp_path / "data", migrated_data) as running:
        yield running


@pytest.fixture(autouse=True)
def worker_goes_home(request: pytest.FixtureRequest) -> Iterator[None]:
    """A worker that a test had in its own process has stopped, not fallen silent."""
    yield
    if "studio" in request.fixturenames:
        with request.getfixturevalue("studio").db.write() as session:
            session.execute(update(Worker).values(state="stopped"))


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One browser profile for all tests: what a page loads is cached, as it is for people."""
    kept = browser.new_context()
    yield kept
    kept.close()


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """The profile, in which nobody has been yet: what a test leaves in it is swept out."""
    yield profile
    profile.set_offline(False)
    profile.clear_permissions()
    profile.clear_cookies()
    for page in profile.pages:
        origin = page.evaluate("origin")
        if origin != "null":  # that of a page that went nowhere
            broom = profile.new_cdp_session(page)
            broom.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        page.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    errors: list[str] = []
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    assert errors == []
