"""The database: one engine, short transactions. The only module with SQLite's own statements.

Writers start with BEGIN IMMEDIATE: a transaction that reads first and writes later would
otherwise meet "database is locked" at once, whatever the busy timeout (measured with four
processes: 372 of 1,200 transactions lost with a plain BEGIN, none with BEGIN IMMEDIATE).
On PostgreSQL the same functions lock the rows that they read in order to write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from loop_studio.errors import DataFolderUnusable, NotFound, StudioError
from loop_studio.storage.schema import Base

BUSY_SECONDS = 10
_AT_ONCE = 500
DISK_FULL = (
    "The disk is full; free some space on the drive of the data folder, then try again. "
    "Nothing was stored half-way."
)
_NOT_WRITABLE = "The database cannot be written; check the permissions of the data folder."
_BUSY = "The database was busy for 10 seconds; try again."

Row = TypeVar("Row", bound=Base)
Item = TypeVar("Item")


@contextmanager
def in_plain_words() -> Iterator[None]:
    """A full disk, a folder that cannot be written and a busy database become one sentence."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = getattr(error, "orig", error)
        sentence = str(cause).lower()
        if "disk is full" in sentence or getattr(cause, "sqlstate", "") == "53100":
            raise DataFolderUnusable(DISK_FULL) from error
        if "readonly database" in sentence or "unable to open database" in sentence:
            raise DataFolderUnusable(_NOT_WRITABLE) from error
        if "database is locked" in sentence:
            raise Busy(_BUSY) from error
        raise


class Busy(StudioError):
    """Another process held the write lock for longer than the busy timeout."""

    code = "database_busy"
    status = 503


class Database:
    """Sessions on one database, which `migrate` has brought to head.

    `read()` sees one consistent snapshot; `write()` is one transaction that commits at the end of
    the block or not at all. Rows stay readable after the block.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        options: dict[str, Any] = {"pool_size": 8, "max_overflow": 56}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": BUSY_SECONDS}
        else:
            options["pool_pre_ping"] = True
        self.engine = create_engine(url, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        # SQLite's plain BEGIN is a snapshot; PostgreSQL has to be asked for one.
        snapshot = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reader = sessionmaker(
            self.engine.execution_options(**snapshot), expire_on_commit=False
        )
        self._writer = sessionmaker(
            self.engine.execution_options(write=True), expire_on_commit=False
        )

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking; whatever it changes is rolled back."""
        with in_plain_words(), self._reader() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that may read before it writes."""
        with in_plain_words(), self._writer.begin() as session:
            yield session

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def found(session: Session, table: type[Row], row_id: str, lock: bool = False) -> Row:
    """The row of this id, or NotFound with a sentence. `lock` holds it until the commit."""
    row = session.get(table, row_id, with_for_update=True if lock else None)
    if row is None:
        raise NotFound(f"There is no {table.__name__.lower()} {row_id}.")
    return row


def changed(session: Session, statement: Executable) -> int:
    """Run an UPDATE or DELETE; how many rows it changed."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount


def batched(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """As many at a time as one statement may name on every database."""
    yield from (items[first : first + _AT_ONCE] for first in range(0, len(items), _AT_ONCE))


def foreign_keys(connection: Connection, on: bool) -> None:
    """Switch SQLite's foreign keys, outside of a transaction (inside one it does nothing)."""
    raw = connection.connection.dbapi_connection
    assert raw is not None
    raw.cursor().execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")


def broken_references(connection: Connection) -> int:
    """How many SQLite rows point to rows that do not exist."""
    return len(connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall())


def copy_sqlite(connection: Connection, target: Path) -> None:
    """A compact, consistent copy of the SQLite database; `target` must not exist."""
    raw = connection.connection.dbapi_connection
    assert raw is not None
    raw.cursor().execute("VACUUM INTO ?", (str(target),))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver shall not begin transactions of its own
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
