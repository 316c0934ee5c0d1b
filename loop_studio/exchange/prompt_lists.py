"""Lists of prompts as people keep them: a prompt per line, or a table with a column of prompts.

Known by test: plain text, CSV and TSV, PartiPrompts (Prompt, Category, Challenge, Note), DrawBench
(Prompts, Category) and T2I-CompBench (a prompt per line, now and then with more after a tab).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, Literal

from loop_studio.errors import Invalid
from loop_studio.exchange.lines import Line, lines, rows

Layout = Literal["text", "table", "either"]

COLUMNS = ("prompt", "prompts", "text", "caption")  # in any case; the first of them that is there
_DELIMITERS = "\t,;"


def prompts(file: BinaryIO, layout: Layout = "either") -> Iterator[Line]:
    """The prompts of a list in its order, blanks within them made single; faults in their place.

    `either` is a table when the first line names a column of prompts. Raises Invalid when a
    `table` has no such column.
    """
    read = lines(file)
    first = next((line for line in read if line.fault or line.text.strip()), None)
    if first is None:
        return
    place = None if layout == "text" or first.fault else _column(first)
    if place is not None:
        yield from _of_table(read, *place)
    elif layout == "table" and not first.fault:
        raise Invalid(_no_column(first))
    else:
        yield from _of_text(chain([first], read))


def _column(header: Line) -> tuple[str, int, int] | None:
    """The delimiter, the place of the column of prompts, and how many columns there are."""
    for delimiter in _DELIMITERS:
        names = [name.lower() for name in _names(header, delimiter)]
        for wanted in COLUMNS:
            if wanted in names:
                return delimiter, names.index(wanted), len(names)
    return None


def _names(header: Line, delimiter: str) -> list[str]:
    return [cell.strip() for _, cells in rows([header], delimiter) for cell in cells]


def _no_column(header: Line) -> str:
    names = max((_names(header, delimiter) for delimiter in _DELIMITERS), key=len)
    told = ", ".join(name[:40] for name in names[:8])
    return (
        f"The table has no column of prompts; its first line names: {told}. "
        f"Call the one that holds them {COLUMNS[0]}, or save the list as text, a prompt per line."
    )


def _of_table(read: Iterator[Line], delimiter: str, place: int, columns: int) -> Iterator[Line]:
    for line, cells in rows(read, delimiter):
        if columns == 1 and cells:
            cells = [delimiter.join(cells)]  # a lone column needs no quotes around a comma
        wrong = "" if line.fault else _wrong(len(cells), place, columns)
        yield Line(line.number, "" if wrong else _prompt(line, cells, place), line.fault or wrong)


def _wrong(cells: int, place: int, columns: int) -> str:
    if cells > columns:
        return f"This line has {cells} cells and the first one {columns}; put quotes around text."
    return "" if cells > place else "This line has no cell in the column of prompts."


def _prompt(line: Line, cells: list[str], place: int) -> str:
    return "" if line.fault else _single_spaced(cells[place])


def _of_text(read: Iterator[Line]) -> Iterator[Line]:
    for line in read:
        if line.fault or line.text.strip():
            yield Line(line.number, _single_spaced(line.text.split("\t")[0]), line.fault)


def _single_spaced(text: str) -> str:
    return " ".join(text.split())
