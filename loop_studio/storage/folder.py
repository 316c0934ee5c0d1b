"""The data folder: made, checked, and claimed by one studio at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from loop_studio.errors import DataFolderUnusable
from loop_studio.settings import Settings

_IN_USE = (
    "The data folder {folder} is in use by another studio; stop that one, "
    "or choose another folder with LOOP_STUDIO_DATA."
)
_NOT_WRITABLE = (
    "The data folder {folder} cannot be written ({reason}); give this user the right to write "
    "there, or choose another folder with LOOP_STUDIO_DATA."
)


class FolderClaim:
    """A data folder held by this process until `release`, or until the process ends."""

    def __init__(self, folder: Path, lock: IO[str]) -> None:
        self.folder = folder
        self._lock = lock

    def release(self) -> None:
        """Let another studio have the folder."""
        self._lock.close()


def make_folder(folder: Path) -> None:
    """Make the data folder and try to write in it; DataFolderUnusable says why that failed."""
    probe = folder / f".writable-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataFolderUnusable(
            _NOT_WRITABLE.format(folder=folder.absolute(), reason=reason)
        ) from error


def claim(settings: Settings) -> FolderClaim:
    """Take the data folder for this process. The operating system frees it however we end."""
    make_folder(settings.data)
    lock = (settings.data / "studio.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise DataFolderUnusable(_IN_USE.format(folder=settings.data.absolute())) from error
    return FolderClaim(settings.data, lock)
