"""Files beside the database: written whole or not at all, under random relative keys.

A file counts only once the row that names it is committed, so a crash between the two leaves at
most an unreferenced file, which housekeeping lets go.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from loop_studio.errors import DataFolderUnusable, Invalid, NotFound
from loop_studio.storage.database import DISK_FULL

_PIECE = 2**20  # bytes
_CHANGED = (
    "The file {key} in the data folder was changed since the studio stored it. Put the right one "
    "back from a backup, or delete it to go without it."
)
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class StoredFile:
    """A file on disk and how to know it again."""

    key: str
    sha256: str
    size: int


def new_key(suffix: str) -> str:
    """A random key such as `3f/3f9a....png`, spread over 256 folders."""
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name}{suffix}"


class FileStore:
    """Files under one folder, by key."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, data: bytes | Iterable[bytes]) -> StoredFile:
        """Store `data` under `key`; on disk, synced and whole, when this returns."""
        target = self.path(key)
        with disk_in_plain_words():
            self._make(target.parent)
            partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
            try:
                sha256, size = _write(partial, data)
                os.replace(partial, target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)
        return StoredFile(key, sha256, size)

    def open(self, key: str) -> BinaryIO:
        """The file for reading; NotFound when it is gone."""
        try:
            return self.path(key).open("rb")
        except FileNotFoundError:
            raise NotFound(f"The file {key} is no longer in the data folder.") from None

    def is_whole(self, key: str, sha256: str) -> bool:
        """Whether a file is, to the last bit, the one that was stored."""
        with self.path(key).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256

    def pieces(self, key: str, sha256: str) -> Iterator[bytes]:
        """The file, piece by piece; DataFolderUnusable at its end if it is not what was stored."""
        digest = hashlib.sha256()
        with self.open(key) as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                yield piece
        if digest.hexdigest() != sha256:
            raise DataFolderUnusable(_CHANGED.format(key=key), "file_changed")

    @contextmanager
    def scratch(self) -> Iterator[BinaryIO]:
        """A file without a name, gone once it is closed: for what is too large for memory.

        Beside the stored files, because the system's own place for it may be memory.
        """
        with disk_in_plain_words():
            self._make(self.root)
            with tempfile.TemporaryFile(dir=self.root) as file:
                yield file

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """A folder for what only writes to paths, gone afterwards; after a crash housekeeping goes
        over it, since no row names what is in it.
        """
        with disk_in_plain_words():
            self._make(self.root)
            with tempfile.TemporaryDirectory(prefix="scratch-", dir=self.root) as folder:
                yield Path(folder)

    def path(self, key: str) -> Path:
        """Where the file lies. Keys cannot lead out of the folder."""
        if not _KEY.fullmatch(key) or len(key) > 200:
            raise Invalid(f"{key!r} is not a file key.")
        return self.root / key

    def delete(self, key: str) -> None:
        """Let the file go; repeatable."""
        self.path(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """Every stored key; files being written are not listed."""
        for path in self.root.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self.root).as_posix()

    def drop_partials(self, older_than_s: float = 3600.0) -> int:
        """Remove what crashed writers left; returns how many."""
        dropped = 0
        for path in self.root.rglob(".*.partial"):
            if time.time() - path.stat().st_mtime > older_than_s:
                path.unlink(missing_ok=True)
                dropped += 1
        return dropped

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(folder.parent)


def _write(path: Path, data: bytes | Iterable[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in [data] if isinstance(data, bytes) else data:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_in_plain_words() -> Iterator[None]:
    """A full disk and a folder that cannot be written become one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DataFolderUnusable(DISK_FULL) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise DataFolderUnusable(
                "The data folder cannot be written; give this user the right to write there."
            ) from error
        raise
