"""Ratings as text: JSON lines, and a CSV that a spreadsheet opens without doing harm."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from loop_studio.storage.exporting import ExportedRating

ROWS_AT_ONCE = 200
Row = TypeVar("Row")
# A cell that begins like this is run as a formula by the usual spreadsheets.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
PLAIN = (
    "event_id", "created_at", "rater", "prompt", "version", "kind", "mode", "status", "usable",
    "reason", "elapsed_ms", "too_fast", "used_by_update_id", "project_id", "group_id", "order",
)  # fmt: skip
OF_EACH_IMAGE = ("image", "value", "reward")


def json_lines(ratings: Iterable[ExportedRating]) -> Iterator[bytes]:
    """One JSON object per line and event."""
    lines = (json.dumps(rating.values(), ensure_ascii=False) + "\n" for rating in ratings)
    for some in _pages(lines):
        yield "".join(some).encode()


def comma_separated(ratings: Iterable[ExportedRating], images: int) -> Iterator[bytes]:
    """One row per event, with columns `image_1, value_1, reward_1 ..` for up to `images` images.

    UTF-8 with a byte order mark: without it Excel takes UTF-8 for the code page of its system,
    and every reader that knows UTF-8 knows the mark. Text that a spreadsheet would run as a
    formula gets an apostrophe in front, which the import takes off again (`unguarded`). An empty
    value means not judged.
    """
    places = [f"{name}_{place}" for place in range(1, images + 1) for name in OF_EACH_IMAGE]
    yield "\ufeff".encode() + _csv([[*PLAIN, *places]])
    for some in _pages(ratings):
        yield _csv([_cells(rating) for rating in some])


def guarded(text: str) -> str:
    """`text` so that no spreadsheet runs it."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _cells(rating: ExportedRating) -> list[object]:
    values = rating.values() | {"order": " ".join(rating.order or [])}
    cells = [values[name] for name in PLAIN]
    for image in rating.images:
        cells += [image.id, rating.judgement.get(image.id), rating.rewards[image.id]]
    return [guarded(cell) if isinstance(cell, str) else cell for cell in cells]


def _pages(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while page := list(islice(left, ROWS_AT_ONCE)):
        yield page


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    page = io.StringIO(newline="")
    csv.writer(page).writerows(rows)
    return page.getvalue().encode()
