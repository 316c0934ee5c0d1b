"""The database: one engine, short transactions. The only module with SQLite's own statements.

Writers start with BEGIN IMMEDIATE: a transaction that reads first and writes later would
otherwise meet "database is locked" at once, whatever the busy timeout (measured with four
processes: 372 of 1,200 transactions lost with a plain BEGIN, none with BEGIN IMMEDIATE).
On PostgreSQL the same functions lock the rows that they read in order to write.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Executable,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError, DisconnectionError
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
_GONE = (
    "The database {name} is gone from the data folder, so nothing can be stored. Put it back, or "
    "stop the studio and restore the newest backup; docs/faults.md says how."
)
_DAMAGED = (
    "The database is damaged, so nothing of it is used. Stop the studio and restore the newest "
    "backup; docs/faults.md says how."
)

Row = TypeVar("Row", bound=Base)
Item = TypeVar("Item")


@contextmanager
def in_plain_words() -> Iterator[None]:
    """What befalls a database from outside becomes one sentence."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = getattr(error, "orig", error)
        sentence = str(cause).lower()
        if "disk is full" in sentence or getattr(cause, "sqlstate", "") == "53100":
            raise DataFolderUnusable(DISK_FULL) from error
        if "readonly database" in sentence or "unable to open database" in sentence:
            raise DataFolderUnusable(_NOT_WRITABLE) from error
        if "malformed" in sentence or "not a database" in sentence:
            raise DataFolderUnusable(_DAMAGED) from error
        if "database is locked" in sentence:
            raise Busy(_BUSY) from error
        raise


class Busy(StudioError):
    """Another process held the write lock for longer than the busy timeout."""

    code = "database_busy"
    status = 503


class LockWaits:
    """How long this process's writers waited for SQLite's write lock; 0 on PostgreSQL."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """One writer has waited."""
        with self._lock:
            self.count += 1
            self.seconds += seconds


class Database:
    """Sessions on one database, which `migrate` has brought to head.

    `read()` sees one consistent snapshot; `write()` is one transaction that commits at the end of
    the block or not at all. Rows stay readable after the block. Only a migration may `create`
    what is not there: an SQLite file that is gone, or is another one, is never written to.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.file = Path(make_url(url).database or "") if self.is_sqlite else None
        self.lock_waits = LockWaits()
        # Who waits for SQLite's write lock sleeps and looks again. Of forty threads that do, all
        # may sleep while it is free, and some starve; so of a process one at a time asks for it.
        self._turn = threading.Lock()
        self._mine = threading.local()
        options: dict[str, Any] = {"pool_size": 8, "max_overflow": 56}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": BUSY_SECONDS}
        else:
            options["pool_pre_ping"] = True
        self.engine = create_engine(url, **options)
        if self.file is not None:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", self._begin_sqlite)
            if not create:
                _stay_with(self.engine, self.file)
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
        try:
            with in_plain_words(), self._writer.begin() as session:
                yield session
        finally:
            self._pass_on()

    @contextmanager
    def remove(self) -> Iterator[Session]:
        """A transaction that deletes whole families of rows, children and parents alike.

        SQLite does not follow references in it: for each deleted row it would read through the
        tables that point there, other projects' rows included.
        """
        with in_plain_words(), self.engine.connect() as plain:
            connection = plain.execution_options(write=True)
            if self.is_sqlite:
                foreign_keys(connection, on=False)
            try:
                with Session(connection) as session, session.begin():
                    yield session
            finally:
                self._pass_on()
                if self.is_sqlite:
                    foreign_keys(connection, on=True)

    def _begin_sqlite(self, connection: Connection) -> None:
        if not connection.get_execution_options().get("write", False):
            connection.exec_driver_sql("BEGIN")
            return
        began = time.monotonic()
        try:
            is_mine = getattr(self._mine, "held", False)
            if not is_mine and not self._turn.acquire(timeout=BUSY_SECONDS):
                raise sqlite3.OperationalError("database is locked")
            self._mine.held = True
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            self.lock_waits.add(time.monotonic() - began)

    def _pass_on(self) -> None:
        """This thread's transaction is over: the next one's turn."""
        if getattr(self._mine, "held", False):
            self._mine.held = False
            self._turn.release()

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


def database_size(session: Session) -> int:
    """Bytes that the database takes."""
    if session.get_bind().dialect.name == "sqlite":
        sizes = (session.execute(text(f"PRAGMA page_{what}")) for what in ("count", "size"))
        return int(prod(size.scalar_one() for size in sizes))
    return int(session.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


@contextmanager
def read_only(path: Path) -> Iterator[Session]:
    """A session on a SQLite file that nobody writes to; leaves nothing beside it."""
    engine = create_engine(f"sqlite:///file:{quote(str(path.absolute()))}?immutable=1&uri=true")
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


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


def _stay_with(engine: Engine, file: Path) -> None:
    """Connect to a file that is there, and leave connections to one that was deleted or replaced.

    Such a connection would go on writing to what nobody can find again.
    """

    def refuse_missing(*_: object) -> None:
        if not file.exists():
            raise DataFolderUnusable(_GONE.format(name=file.name))

    def remember(_connection: object, record: Any) -> None:
        record.info["file"] = _identity(file)

    def compare(_connection: object, record: Any, _proxy: object) -> None:
        if record.info["file"] != _identity(file):
            raise DisconnectionError

    event.listen(engine, "do_connect", refuse_missing)
    event.listen(engine, "connect", remember)
    event.listen(engine, "checkout", compare)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
