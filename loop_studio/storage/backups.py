"""Backups of a running studio: a folder each, with the database of one moment and its files.

The database is copied by SQLite itself, so that a copy made while others write is of one moment.
Stored files never change: on the same file system they are linked, which takes no room until the
studio lets go of them; elsewhere those of the backup before are linked and the others copied. A
folder has its name once it is whole; what a crash leaves is removed by the next backup.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from loop_studio import __version__
from loop_studio.errors import Conflict, DataFolderUnusable, Refused
from loop_studio.settings import GIB, Settings
from loop_studio.storage import jobs, migration, references
from loop_studio.storage.database import Database, copy_sqlite, in_plain_words, read_only
from loop_studio.storage.files import FileStore, StoredFile, disk_in_plain_words
from loop_studio.storage.schema import Job, now

FORMAT = 1
ABOUT, LISTING, DATABASE, FILES = "backup.json", "files.json", "studio.sqlite3", "files"
_NAME = re.compile(r"studio-\d{8}T\d{6}Z")
_PARTIAL = ".partial-"
_QUEUED = "backup/"  # so begin the keys of backups in the queue
_HEADROOM = 64 * 2**20  # bytes that a backup leaves free
_POSTGRESQL = (
    "The database is on PostgreSQL, which makes its own backups: run pg_dump, then copy the folder "
    "files in the data folder."
)
_NO_ROOM = (
    "The backup needs {needed:.2f} GiB and {folder} has {free:.2f} GiB free; free some space "
    "there, or choose another folder with LOOP_STUDIO_BACKUPS."
)
_NOT_WRITABLE = (
    "The folder of backups {folder} cannot be written ({reason}); give this user the right to "
    "write there, or choose another with LOOP_STUDIO_BACKUPS."
)
_NOT_HEAD = (
    "The database is not of this release, or there is none; back it up with the release that "
    "wrote it, or start this one once."
)
_ANOTHER = "Another backup is being made; wait until it is done."

Between = Callable[[int, int], object]


@dataclass(frozen=True)
class About:
    """What a backup says of itself, in `backup.json`."""

    format: int
    release: str
    schema: str
    made_at: str
    database_sha256: str
    listing_sha256: str  # of the list of files with their hashes
    database_bytes: int
    file_bytes: int
    files: int
    missing: list[str] = field(default_factory=list)  # keys of files that were gone already


@dataclass(frozen=True)
class Backup:
    """A whole backup and where it lies."""

    folder: Path
    about: About


def make(
    db: Database,
    store: FileStore,
    folder: Path,
    kept: int | None = None,
    between: Between = lambda step, steps: None,
) -> Backup:
    """Make a backup in `folder`, then let go of all but the newest `kept`, if that is given.

    `between` is called between two files and may raise. Raises Refused on PostgreSQL and for a
    database of another release, Conflict while another backup is made, DataFolderUnusable where
    there is no room.
    """
    if not db.is_sqlite:
        raise Refused(_POSTGRESQL, "use_pg_dump")
    if not _file_of(db).is_file() or migration.state(db) != "head":
        raise Refused(_NOT_HEAD, "database_not_at_head")
    with _alone(folder), disk_in_plain_words(), in_plain_words():
        moment = now()
        partial = folder / f"{_PARTIAL}{moment:%Y%m%dT%H%M%SZ}"
        partial.mkdir(parents=True)
        try:
            about = _fill(db, store, partial, newest(folder), between, moment)
            target = folder / f"studio-{moment:%Y%m%dT%H%M%SZ}"
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for old in all(folder)[:-kept] if kept else []:
            shutil.rmtree(old.folder)
    return Backup(target, about)


def all(folder: Path) -> Sequence[Backup]:
    """The whole backups in a folder, oldest first."""
    if not folder.is_dir():
        return []
    named = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    return [Backup(path, about) for path in named if (about := read_about(path)) is not None]


def ask(db: Database, settings: Settings, nightly: bool = False) -> Job:
    """Have the worker make a backup: one a day that is nightly, one a minute that is asked for.

    Raises Refused on PostgreSQL.
    """
    if not db.is_sqlite:
        raise Refused(_POSTGRESQL, "use_pg_dump")
    asked_at = now().strftime("%Y-%m-%d" if nightly else "%Y-%m-%dT%H:%M")
    payload = {"backup": str(settings.backup_folder.absolute()), "kept": settings.backups_kept}
    return jobs.enqueue(
        db,
        "housekeeping",
        payload=payload,
        dedupe_key=f"{_QUEUED}{asked_at}",
        priority=-5 if nightly else 2,
    )


def last_asked(db: Database) -> Job | None:
    """The backup that was asked for last, by night or by hand, whatever became of it."""
    with db.read() as session:
        asked = select(Job).where(Job.dedupe_key.startswith(_QUEUED))
        return session.scalars(asked.order_by(Job.created_at.desc()).limit(1)).one_or_none()


def newest(folder: Path) -> Backup | None:
    """The newest whole backup, if there is one."""
    return next(reversed(all(folder)), None)


def read_about(folder: Path) -> About | None:
    """What a backup says of itself; None where that cannot be read."""
    try:
        told = json.loads((folder / ABOUT).read_bytes())
        return About(**{one.name: told[one.name] for one in fields(About)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(
    db: Database,
    store: FileStore,
    partial: Path,
    before: Backup | None,
    between: Between,
    moment: datetime,
) -> About:
    copy = partial / DATABASE
    with db.engine.connect() as connection:
        _check_room(partial, _file_of(db).stat().st_size)
        copy_sqlite(connection, copy)
    with read_only(copy) as session:
        wanted = list(references.files(session))
    earlier = None if before is None else before.folder / FILES
    _check_room(partial, _to_copy(store, partial, earlier, wanted))
    missing = []
    for step, file in enumerate(wanted):
        between(step, len(wanted))
        if not _take(store, file, partial / FILES / file.key, earlier):
            missing.append(file.key)
    held = [file for file in wanted if file.key not in missing]
    listing = json.dumps({file.key: [file.sha256, file.size] for file in held}).encode()
    about = About(
        format=FORMAT,
        release=__version__,
        schema=migration.head(),
        made_at=moment.isoformat(),
        database_sha256=sha256_of(copy),
        listing_sha256=hashlib.sha256(listing).hexdigest(),
        database_bytes=copy.stat().st_size,
        file_bytes=sum(file.size for file in held),
        files=len(held),
        missing=missing,
    )
    (partial / LISTING).write_bytes(listing)
    (partial / ABOUT).write_text(json.dumps(asdict(about), indent=1) + "\n")
    os.sync()  # once, instead of every file for itself
    return about


def _take(store: FileStore, file: StoredFile, target: Path, earlier: Path | None) -> bool:
    """Link or copy one file into the backup; False if it is gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sources = [store.path(file.key), *([earlier / file.key] if earlier else [])]
    for source in sources:
        try:
            os.link(source, target)
            return True
        except OSError:  # gone, another file system, or one without links
            continue
    for source in sources:
        if source.is_file():
            shutil.copyfile(source, target)
            return True
    return False


def _to_copy(
    store: FileStore, partial: Path, earlier: Path | None, wanted: Sequence[StoredFile]
) -> int:
    """Bytes of the files that cannot be linked."""
    if not store.root.is_dir() or store.root.stat().st_dev == partial.stat().st_dev:
        return 0
    if earlier is not None:
        wanted = [file for file in wanted if not (earlier / file.key).is_file()]
    return sum(file.size for file in wanted)


def _file_of(db: Database) -> Path:
    return Path(db.engine.url.database or "")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + _HEADROOM > free:
        told = _NO_ROOM.format(needed=needed / GIB, folder=folder.parent, free=free / GIB)
        raise DataFolderUnusable(told, "no_room")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time; what an earlier one left half-made is removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "backup.lock").open("a")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        told = _NOT_WRITABLE.format(folder=folder, reason=reason)
        raise DataFolderUnusable(told, "backups_unusable") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(_ANOTHER, "backup_active") from None
        for left in folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left)
        yield
