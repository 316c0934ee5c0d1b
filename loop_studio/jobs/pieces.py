"""Files on disk as the file store takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_SIZE = 2**20  # bytes


def chunks(file: Path) -> Iterator[bytes]:
    """A file, piece by piece."""
    with file.open("rb") as opened:
        while chunk := opened.read(_SIZE):
            yield chunk
