"""Backups and restoring: every table and every file comes back, or nothing is written."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from loop_studio.errors import Conflict, DataFolderUnusable, Refused
from loop_studio.settings import Settings
from loop_studio.storage import backups, references
from loop_studio.storage.database import Database, broken_references, read_only
from loop_studio.storage.files import FileStore, new_key
from loop_studio.storage.restoring import restore
from loop_studio.storage.schema import Group, Image
from tests.storage.studio import make_group, make_project, rate

pytestmark = pytest.mark.sqlite


def fill(db: Database, files: FileStore, count: int = 2) -> None:
    """Judged groups with real files."""
    project = make_project(db)
    for _ in range(count):
        group = make_group(db, project)
        with db.write() as session:
            rows = [session.get_one(Group, group.id)]
            rows += session.query(Image).where(Image.group_id == group.id)
            for row in rows:
                stored = files.put(new_key(".bin"), os.urandom(50))
                name = "trajectory_" if isinstance(row, Group) else ""
                for column in ("key", "sha256", "size"):
                    setattr(row, name + column, getattr(stored, column))
        rate(db, group)


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with read_only(path) as session:
        tables = session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")).all()
        return {name: sorted(map(tuple, session.execute(text(f'SELECT * FROM "{name}"'))), key=repr)
                for name in tables}  # fmt: skip


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): backups.sha256_of(path)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def made(db: Database, files: FileStore, settings: Settings) -> backups.Backup:
    fill(db, files)
    return backups.make(db, files, settings.backup_folder)


def test_what_is_restored_is_the_same_in_every_table_and_every_file(
    db: Database, settings: Settings, made: backups.Backup, tmp_path: Path
) -> None:
    assert (made.about.files, made.about.missing) == (10, [])
    whole = hashes(settings.files)
    new = tmp_path / "restored"
    assert restore(made.folder, new) == 10
    assert hashes(new / "files") == whole
    db.dispose()  # the last connection folds the write-ahead log into the file
    assert rows(new / "studio.sqlite3") == rows(settings.data / "studio.sqlite3")
    again = Database(Settings(data=new).resolved_database_url)
    with again.engine.connect() as connection:
        assert broken_references(connection) == 0


def test_a_backup_made_while_others_write_is_of_one_moment(
    db: Database, files: FileStore, settings: Settings, tmp_path: Path
) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            fill(db, files, 1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [backups.make(db, files, tmp_path / str(number)) for number in range(3)]
    finally:
        stop.set()
        writer.join()
    for backup in found:
        restore(backup.folder, new := tmp_path / f"new-{backup.folder.parent.name}")
        copy = Database(Settings(data=new).resolved_database_url)
        with copy.engine.connect() as connection:
            assert broken_references(connection) == 0
        assert {key for key in references.keys(copy) if not (new / "files" / key).exists()} <= {
            *backup.about.missing
        }
        copy.dispose()


def test_files_are_linked_where_they_can_be_and_copied_where_not(
    db: Database, files: FileStore, made: backups.Backup, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    key = next(files.keys())
    assert (made.folder / "files" / key).stat().st_nlink == 2

    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copied = backups.make(db, files, tmp_path / "elsewhere")
    assert (copied.folder / "files" / key).stat().st_nlink == 1
    restore(copied.folder, tmp_path / "new")


def test_what_the_studio_lets_go_of_stays_in_the_backup(
    files: FileStore, made: backups.Backup, tmp_path: Path
) -> None:
    for key in list(files.keys()):
        files.delete(key)
    assert restore(made.folder, tmp_path / "new") == 10


def test_only_the_newest_are_kept_and_what_a_crash_left_goes(
    db: Database, files: FileStore, settings: Settings, made: backups.Backup
) -> None:
    folder = settings.backup_folder
    for day in ("20200101", "20200102"):
        shutil.copytree(made.folder, folder / f"studio-{day}T030000Z")
    (folder / ".partial-20200103T030000Z").mkdir()
    shutil.rmtree(made.folder)
    newest = backups.make(db, files, folder, kept=2)
    assert [one.folder.name for one in backups.all(folder)] == [
        "studio-20200102T030000Z",
        newest.folder.name,
    ]
    assert not list(folder.glob(".partial*"))


def test_a_backup_that_fails_leaves_nothing_and_lets_go_of_nothing(
    db: Database, files: FileStore, settings: Settings, made: backups.Backup
) -> None:
    def stop(step: int, steps: int) -> None:
        raise InterruptedError

    shutil.move(made.folder, older := settings.backup_folder / "studio-20200101T030000Z")
    with pytest.raises(InterruptedError):
        backups.make(db, files, settings.backup_folder, kept=1, between=stop)
    assert [path for path in settings.backup_folder.iterdir() if path.is_dir()] == [older]


def test_a_disk_without_room_is_told_before_anything_is_copied(
    db: Database, files: FileStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(DataFolderUnusable, match="choose another folder with LOOP_STUDIO_BACKUPS"):
        backups.make(db, files, settings.backup_folder)
    assert backups.all(settings.backup_folder) == []


def test_a_folder_that_cannot_be_made_is_named(
    db: Database, files: FileStore, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderUnusable, match=r"folder of backups .*file/backups cannot be"):
        backups.make(db, files, tmp_path / "file" / "backups")


def test_the_database_of_another_release_is_left_alone(
    db: Database, files: FileStore, tmp_path: Path
) -> None:
    with db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0012'"))
    with pytest.raises(Refused, match="the release that wrote it"):
        backups.make(db, files, tmp_path / "backups")


def test_two_backups_at_once_are_refused(
    db: Database, files: FileStore, settings: Settings
) -> None:
    def another(step: int, steps: int) -> None:
        with pytest.raises(Conflict, match="Another backup is being made"):
            backups.make(db, files, settings.backup_folder)

    fill(db, files, 1)
    backups.make(db, files, settings.backup_folder, between=another)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # else the studio's own file, which it is a link of, would change too
    path.write_bytes(data)


def first_file(folder: Path) -> Path:
    return folder / "files" / next(iter(json.loads((folder / "files.json").read_bytes())))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip(first_file(folder)),
        lambda folder: first_file(folder).unlink(),
        lambda folder: flip(folder / "studio.sqlite3"),
        lambda folder: (folder / "studio.sqlite3").unlink(),
        lambda folder: flip(folder / "files.json"),
        lambda folder: (folder / "backup.json").write_text("{"),
    ],
)
def test_a_damaged_backup_is_told_before_anything_is_written(
    made: backups.Backup, tmp_path: Path, damage: Any
) -> None:
    damage(made.folder)
    with pytest.raises(Refused, match=r"damaged: .* Nothing was written"):
        restore(made.folder, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_backup_of_a_newer_release_is_refused(made: backups.Backup, tmp_path: Path) -> None:
    about = json.loads((made.folder / "backup.json").read_text())
    (made.folder / "backup.json").write_text(json.dumps({**about, "schema": "9999"}))
    with pytest.raises(Refused, match="newer release"):
        restore(made.folder, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_only_an_empty_folder_is_restored_into(made: backups.Backup, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine.txt").write_text("mine")
    with pytest.raises(Refused, match="is not empty"):
        restore(made.folder, tmp_path / "new")
    assert hashes(tmp_path / "new").keys() == {"mine.txt"}


def test_a_database_alone_is_restored_too_and_anything_else_is_no_backup(
    made: backups.Backup, tmp_path: Path
) -> None:
    alone = shutil.copyfile(made.folder / "studio.sqlite3", tmp_path / "studio-old.sqlite3")
    assert restore(alone, tmp_path / "new") == 0
    assert rows(tmp_path / "new" / "studio.sqlite3") == rows(alone)
    (tmp_path / "note.txt").write_text("a note, and no database")
    for source in (tmp_path / "note.txt", tmp_path, tmp_path / "nowhere"):
        with pytest.raises(Refused, match="no backup"):
            restore(source, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_postgresql_is_told_to_use_its_own(
    db: Database, files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "is_sqlite", False)
    with pytest.raises(Refused, match="pg_dump"):
        backups.make(db, files, tmp_path / "backups")
    assert not (tmp_path / "backups").exists()
