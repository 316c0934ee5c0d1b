"""Files that are sent while they are written: nothing here ever holds a whole file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 5_000
BYTES_AT_ONCE = 16 * 1024 * 1024


class Outlet(io.RawIOBase):
    """A file for writers that want one; what they wrote is drained as they go on. No seeking."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """How many bytes were written so far."""
        return self._written

    def write(self, data: Any) -> int:
        """Keep `data` until it is drained; it may be any buffer."""
        kept = bytes(data)
        self._waiting.append(kept)
        self._written += len(kept)
        return len(kept)

    def drain(self) -> Iterator[bytes]:
        """What was written since the last time."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            yield b"".join(waiting)


def parquet(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[bytes]:
    """The bytes of a Parquet file of `rows`, a row group for every 5,000 rows or 16 MiB of images.

    Readers look for the index at the end, so a download that broke off is recognised as such.
    """
    outlet = Outlet()
    with pq.ParquetWriter(outlet, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
            yield from outlet.drain()
    yield from outlet.drain()


def zipped(entries: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """The bytes of a zip archive of (name, content), stored as they are."""
    outlet = Outlet()
    today = datetime.now(UTC).timetuple()[:6]
    with zipfile.ZipFile(outlet, "w") as archive:
        for name, content in entries:
            with archive.open(zipfile.ZipInfo(name, today), "w", force_zip64=True) as file:
                for chunk in content:
                    file.write(chunk)
                    yield from outlet.drain()
    yield from outlet.drain()


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(_picture_bytes(value) for value in row.values())
        if len(batch) >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _picture_bytes(value: object) -> int:
    picture = value.get("bytes") if isinstance(value, dict) else value
    return len(picture) if isinstance(picture, bytes) else 0
