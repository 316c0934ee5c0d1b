"""The data folder: made, checked, and claimed by one studio at a time."""

from __future__ import annotations

import fcntl
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
    "there, or choose another folder with LOOP_STUDIO_DATA."
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
        reason = (error.strerror or str(error)).lower()
        raise DataFolderUnusable(
            _NOT_WRITABLE.format(folder=folder.absolute(), reason=reason)
        ) from error


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
        folder, reason = settings.data.absolute(), (error.strerror or str(error)).lower()
        taken = isinstance(error, BlockingIOError)
        sentence = _IN_USE if taken else _NOT_WRITABLE
        raise DataFolderUnusable(sentence.format(folder=folder, reason=reason)) from error
    return FolderClaim(settings.data, held)
