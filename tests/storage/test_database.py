import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from loop_studio.errors import DataFolderUnusable, NotFound
from loop_studio.storage.database import Database, found
from loop_studio.storage.schema import Project


def add(db: Database, name: str, after: Callable[[], object] = lambda: None) -> None:
    with db.write() as session:
        session.add(Project(id=name, name=name, model="starter"))
        session.flush()
        after()


@pytest.mark.sqlite
def test_every_connection_is_synced_in_wal_with_foreign_keys(db: Database) -> None:
    with db.read() as session:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [session.execute(text(f"PRAGMA {pragma}")).scalar() for pragma in pragmas]
    assert values == ["wal", 2, 1, 10000]


def test_a_failed_block_writes_nothing(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        add(db, "p", after=lambda: 1 / 0)
    with db.read() as session, pytest.raises(NotFound, match="There is no project p"):
        found(session, Project, "p")


def test_a_reading_block_changes_nothing(db: Database) -> None:
    with db.read() as session:
        session.add(Project(id="p", name="p", model="starter"))
        session.flush()
    with db.read() as session:
        assert session.get(Project, "p") is None


def test_rows_stay_readable_after_the_block(db: Database) -> None:
    add(db, "p")
    with db.read() as session:
        row = found(session, Project, "p")
    assert row.name == "p"
    assert row.created_at.utcoffset() is not None


def count_up(url: str, rounds: int) -> None:
    db = Database(url)
    for _ in range(rounds):
        with db.write() as session:
            number = int(session.scalars(select(Project.name)).one())
            session.execute(update(Project).values(name=str(number + 1)))


@pytest.mark.sqlite
def test_read_then_write_from_several_processes_never_meets_a_locked_database(
    db: Database,
) -> None:
    add(db, "0")
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=count_up, args=(db.url, 30)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with db.read() as session:
        assert session.scalars(select(Project.name)).one() == "90"


def fill(db: Database) -> None:
    with db.write() as session:
        session.execute(text("PRAGMA max_page_count = 1"))
        for number in range(200):
            session.add(Project(id=f"p{number}", name="p", model="x" * 4000))


@pytest.mark.sqlite
def test_a_full_disk_is_one_sentence_and_nothing_is_half_written(db: Database) -> None:
    add(db, "before")
    with pytest.raises(DataFolderUnusable, match="The disk is full; free some space"):
        fill(db)
    with db.read() as session:
        assert session.scalars(select(Project.id)).all() == ["before"]


def test_a_database_that_is_not_there_is_one_sentence_and_is_not_made(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'studio.sqlite3'}")
    with pytest.raises(DataFolderUnusable, match="is gone from the data"), db.read() as session:
        session.execute(text("SELECT 1"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'missing' / 'studio.sqlite3'}", create=True)
    with pytest.raises(DataFolderUnusable, match="cannot be written"), db.read() as session:
        session.execute(text("SELECT 1"))


@pytest.mark.sqlite
def test_of_many_who_write_at_once_none_is_passed_over(db: Database) -> None:
    """Left to SQLite, which looks again after a sleep, some of a crowd wait for all the others."""
    waits: list[float] = []

    def write_ten_times() -> None:
        for _ in range(10):
            asked = time.monotonic()
            with db.write() as session:
                session.execute(text("SELECT 1"))
                waits.append(time.monotonic() - asked)
                time.sleep(0.003)

    crowd = [threading.Thread(target=write_ten_times) for _ in range(40)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert len(waits) == 400
    # Where the lock goes to whoever asks at the right moment, most ask once and a few for ever.
    assert statistics.median(waits) > max(waits) / 40
