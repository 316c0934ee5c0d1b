"""A studio brought back from a backup, into an empty folder, once all of the backup is checked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from loop_studio.errors import Refused
from loop_studio.settings import GIB
from loop_studio.storage import migration
from loop_studio.storage.backups import ABOUT, DATABASE, FILES, LISTING, read_about, sha256_of
from loop_studio.storage.database import read_only
from loop_studio.storage.files import disk_in_plain_words
from loop_studio.storage.folder import make_folder

Listing = Mapping[str, tuple[str, int]]  # key: hash, size

_NOT_ONE = "{source} is no backup of a studio; name a folder like studio-20260131T030000Z."
_NEWER = (
    "The backup was made by a newer release of LOOP Studio; install that release, then restore it."
)
_DAMAGED = "The backup is damaged: {what}. Nothing was written; choose another backup."
_NOT_EMPTY = "{folder} is not empty; name a folder that is, or a new one."
_NO_ROOM = "The backup takes {needed:.2f} GiB and {folder} has {free:.2f} GiB free."


def restore(source: Path, data: Path) -> int:
    """Write a backup into an empty or new folder; returns the number of files beside the database.

    `source` is the folder of a backup, or a database alone, as an upgrade leaves one. Everything is
    read and checked before anything is written. Raises Refused.
    """
    listing = _checked(source)
    if data.is_dir() and any(data.iterdir()):
        raise Refused(_NOT_EMPTY.format(folder=data), "folder_not_empty")
    make_folder(data)
    database = source / DATABASE if source.is_dir() else source
    needed = database.stat().st_size + sum(size for _, size in listing.values())
    if (free := shutil.disk_usage(data).free) < needed:
        told = _NO_ROOM.format(needed=needed / GIB, folder=data, free=free / GIB)
        raise Refused(told, "no_room")
    with disk_in_plain_words():
        for key in listing:
            target = data / FILES / key
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / FILES / key, target)
        partial = data / f".{DATABASE}.partial"
        shutil.copyfile(database, partial)
        os.sync()
        partial.rename(data / DATABASE)  # last: without it the folder is no studio yet
    return len(listing)


def _checked(source: Path) -> Listing:
    """The files of a backup, once all of it is found whole and readable by this release."""
    if not source.exists():
        raise Refused(f"There is no backup at {source}.", "no_backup")
    database, listing = (source, {}) if source.is_file() else _described(source)
    _check_database(source, database)
    for what in _wrong(source / FILES, listing):
        raise Refused(_DAMAGED.format(what=what), "backup_damaged")
    return listing


def _described(source: Path) -> tuple[Path, Listing]:
    about = read_about(source)
    if about is None:
        if (source / ABOUT).exists():
            raise Refused(_DAMAGED.format(what=f"{ABOUT} cannot be read"), "backup_damaged")
        raise Refused(_NOT_ONE.format(source=source), "no_backup")
    if about.schema not in migration.revisions():
        raise Refused(_NEWER, "backup_newer")
    for name, sha256 in ((DATABASE, about.database_sha256), (LISTING, about.listing_sha256)):
        if not (source / name).is_file() or sha256_of(source / name) != sha256:
            what = f"{name} is not what was stored"
            raise Refused(_DAMAGED.format(what=what), "backup_damaged")
    held = json.loads((source / LISTING).read_bytes())
    return source / DATABASE, {key: (sha256, size) for key, (sha256, size) in held.items()}


def _check_database(source: Path, database: Path) -> None:
    try:
        with read_only(database) as session:
            sound = session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
            state = migration.state_of(session.connection())
    except DBAPIError:
        raise Refused(_NOT_ONE.format(source=source), "no_backup") from None
    if not sound:
        raise Refused(_DAMAGED.format(what="its database is broken"), "backup_damaged")
    if state == "newer":
        raise Refused(_NEWER, "backup_newer")
    if state == "empty":
        raise Refused(_NOT_ONE.format(source=source), "no_backup")


def _wrong(folder: Path, listing: Listing) -> Iterator[str]:
    for key, (sha256, size) in listing.items():
        path = folder / key
        if not path.is_file():
            yield f"its file {key} is missing"
        elif path.stat().st_size != size or sha256_of(path) != sha256:
            yield f"its file {key} is not what was stored"
