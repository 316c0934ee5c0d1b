"""The data folder: made, checked, and claimed by one studio at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import IO

from loop_studio.errors import DataFolderUnusable
from loop_studio.settings import Settings

# A studio is web and worker in one; either alone may share the folder with the other alone.
_LOCKS = {"web": ("web",), "worker": ("worker",)}
_ALL = ("web", "worker")

_IN_USE = (
    "The data folder {folder} is in use by another studio; stop that one, "
    "or choose another folder with LOOP_STUDIO_DATA."
)
_NOT_WRITABLE = (
    "The data folder {folder} cannot be written ({reason}); give this user the right to write "
    "there with: chown -R {user}:{group} {folder} (in a container, run that on the folder or "
    "volume that is mounted there), or choose another folder with LOOP_STUDIO_DATA."
)


class FolderClaim:
    """A data folder held by this process until `release`, or until the process ends."""

    def __init__(self, folder: Path, locks: list[IO[str]]) -> None:
        self.folder = folder
        self._locks = locks

    def release(self) -> None:
        """Let another studio have the folder."""
        for lock in self._locks:
            lock.close()

    def __enter__(self) -> FolderClaim:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def make_folder(folder: Path) -> None:
    """Make the data folder and try to write in it; DataFolderUnusable says why that failed."""
    probe = folder / f".writable-{secrets.token_hex(8)}"  # two containers may share a pid
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise _not_writable(folder, error) from error


def claim(settings: Settings, role: str = "studio") -> FolderClaim:
    """Take the data folder for this process. The operating system frees it however we end.

    `role` is `web` or `worker` for either part alone; anything else takes the whole folder.
    """
    make_folder(settings.data)
    held: list[IO[str]] = []
    try:
        for name in _LOCKS.get(role, _ALL):
            held.append((settings.data / f"{name}.lock").open("a"))
            fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        FolderClaim(settings.data, held).release()
        if isinstance(error, BlockingIOError):
            told = _IN_USE.format(folder=settings.data.absolute())
            raise DataFolderUnusable(told) from error
        raise _not_writable(settings.data, error) from error
    return FolderClaim(settings.data, held)


def _not_writable(folder: Path, error: OSError) -> DataFolderUnusable:
    reason = (error.strerror or str(error)).lower()
    owner = {"user": os.geteuid(), "group": os.getegid()}
    return DataFolderUnusable(
        _NOT_WRITABLE.format(folder=folder.absolute(), reason=reason, **owner)
    )
