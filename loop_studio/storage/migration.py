"""Bringing the database to the schema of this release, once, safely, before anything opens it.

A populated older database is copied to `backups/` first. Foreign keys are off while tables are
rebuilt (a rebuilt parent table would otherwise cascade into its children) and checked before the
commit; the whole upgrade is one transaction.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from loop_studio.errors import DataFolderUnusable
from loop_studio.settings import Settings
from loop_studio.storage.database import (
    Database,
    broken_references,
    copy_sqlite,
    foreign_keys,
    in_plain_words,
)
from loop_studio.storage.folder import make_folder

SCRIPTS = Path(__file__).resolve().parents[2] / "migrations"

State = Literal["head", "older", "newer", "empty"]

_NEWER = (
    "This data folder was written by a newer release of LOOP Studio; "
    "install that release, or choose another folder with LOOP_STUDIO_DATA."
)
_LOST = (
    "The database {name} is gone from the data folder while the files that it knows are there. "
    "Put it back, or restore the newest backup; docs/faults.md says how. To start anew, choose "
    "another folder with LOOP_STUDIO_DATA."
)
_BROKEN = (
    "The upgrade would leave {count} rows that point to nothing, so it was taken back; "
    "the database is as it was. Please report this."
)


def migrate(settings: Settings) -> None:
    """Upgrade the database of these settings to head; two starts at once wait for each other.

    Raises DataFolderUnusable when the database is newer than this release, or is gone while its
    files are there.
    """
    make_folder(settings.data)
    with _one_at_a_time(settings.data):
        db = Database(settings.resolved_database_url, create=True)
        try:
            _refuse_lost(db, settings.files)
            with in_plain_words():
                _upgrade(db, settings.data / "backups")
        finally:
            db.dispose()


def state(db: Database) -> State:
    """How the database compares with this release."""
    with db.read() as session:
        return state_of(session.connection())


def head() -> str:
    """The schema of this release."""
    return ScriptDirectory(str(SCRIPTS)).get_current_head() or ""


def revisions() -> set[str]:
    """The schemas of this release and of all before it."""
    scripts = ScriptDirectory(str(SCRIPTS)).walk_revisions()
    return {script.revision for script in scripts}


def _upgrade(db: Database, backups: Path) -> None:
    before = state(db)
    if before == "newer":
        raise DataFolderUnusable(_NEWER)
    if before == "head":
        return
    if before == "older" and db.is_sqlite:
        _back_up(db, backups)
    with db.engine.connect().execution_options(write=True) as connection:
        if db.is_sqlite:
            foreign_keys(connection, on=False)
        with connection.begin():
            config = Config()
            config.set_main_option("script_location", str(SCRIPTS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if db.is_sqlite and (count := broken_references(connection)):
                raise DataFolderUnusable(_BROKEN.format(count=count))


def _refuse_lost(db: Database, files: Path) -> None:
    """An empty database knows none of these files, so housekeeping would let them all go."""
    if db.file is None or not files.is_dir() or not any(files.iterdir()):
        return
    if not db.file.exists() or db.file.stat().st_size == 0:
        raise DataFolderUnusable(_LOST.format(name=db.file.name))


def state_of(connection: Connection) -> State:
    """`state` of the database behind a connection."""
    scripts = ScriptDirectory(str(SCRIPTS))
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None:
        return "empty"
    if current == scripts.get_current_head():
        return "head"
    return "older" if current in revisions() else "newer"


def _back_up(db: Database, backups: Path) -> None:
    backups.mkdir(exist_ok=True)
    target = backups / f"studio-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.sqlite3"
    partial = target.with_suffix(".partial")
    try:
        with db.engine.connect() as connection:
            copy_sqlite(connection, partial)
        with partial.open("rb") as copy:
            os.fsync(copy.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    with (folder / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
