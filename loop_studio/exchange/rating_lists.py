"""Ratings as they come back in: the JSON lines or the CSV that the studio exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from loop_studio.errors import Invalid
from loop_studio.exchange.lines import Line, lines, rows
from loop_studio.exchange.tables import unguarded

Facts = dict[str, Any]

# What makes a rating; all else in an export is derived from it, or known by its group.
FACTS = (
    "event_id", "group_id", "rater", "mode", "judgement", "order", "elapsed_ms", "status",
    "created_at",
)  # fmt: skip
NEEDED = ("event_id", "group_id", "rater", "mode")
_IMAGE = re.compile(r"image_(\d{1,3})")
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,20})?")


def ratings(file: BinaryIO) -> Iterator[tuple[Line, Facts]]:
    """Each rating of a file as unchecked JSON values by name; a line with a fault has none.

    Raises Invalid when it is neither JSON lines nor a CSV with the columns of the export.
    """
    read = (line for line in lines(file) if line.fault or line.text.strip())
    first = next(read, None)
    if first is None:
        return
    if first.fault or first.text.lstrip().startswith("{"):
        yield from map(_of_json, chain([first], read))
    else:
        yield from _of_table(first, read)


def _of_json(line: Line) -> tuple[Line, Facts]:
    if line.fault:
        return line, {}
    try:
        told = json.loads(line.text)
    except (ValueError, RecursionError):
        return Line(line.number, line.text, "This line is not JSON."), {}
    if not isinstance(told, dict):
        return Line(line.number, line.text, "This line is not a JSON object."), {}
    return line, {name: told[name] for name in FACTS if name in told}


def _of_table(header: Line, read: Iterator[Line]) -> Iterator[tuple[Line, Facts]]:
    delimiter = max(",;\t", key=header.text.count)
    names = [cell.strip() for _, cells in rows([header], delimiter) for cell in cells]
    missing = [name for name in (*NEEDED, "image_1", "value_1") if name not in names]
    if missing:
        raise Invalid(
            f"The file has no column {missing[0]}; its lines must be JSON objects, or its columns "
            "those of the CSV that the studio exports."
        )
    for line, cells in rows(read, delimiter):
        if not line.fault and len(cells) != len(names):
            fault = f"This line has {len(cells)} cells and the first one {len(names)}."
            yield Line(line.number, line.text, fault), {}
        else:
            yield line, {} if line.fault else _facts(dict(zip(names, cells, strict=True)))


def _facts(cells: dict[str, str]) -> Facts:
    told = {name: unguarded(cells[name]) for name in FACTS if cells.get(name)}
    places = [match[1] for match in map(_IMAGE.fullmatch, cells) if match]
    judged = {
        cells[f"image_{place}"]: _number(cells[f"value_{place}"])
        for place in places
        if cells[f"image_{place}"] and cells.get(f"value_{place}")
    }
    elapsed = {"elapsed_ms": _number(told["elapsed_ms"])} if "elapsed_ms" in told else {}
    order = {"order": told["order"].split()} if "order" in told else {}
    return told | elapsed | order | {"judgement": judged}


def _number(text: str) -> float | str:
    """The number, or the text itself for the check of values to refuse."""
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
