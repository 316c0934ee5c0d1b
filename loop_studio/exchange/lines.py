"""Text files of people, line by line: any usual encoding and line ending, and no trust in either.

A line that cannot be read is handed on with its fault, so that the good ones around it are kept.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

LONGEST_LINE = 64 * 1024  # characters
MOST_LINES_OF_A_ROW = 20  # a quote that is still open then was not meant as one

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNREADABLE = "This line is not {encoding} text; save the file as UTF-8 and try again."
_NUL = "This line holds a NUL character; save the file as UTF-8 text and try again."
_TOO_LONG = f"This line is longer than {LONGEST_LINE:,} characters."


@dataclass(frozen=True)
class Line:
    """A line or row of a file. `fault` is a sentence when it cannot be used, else empty."""

    number: int  # from 1; of the first line, where a row has several
    text: str
    fault: str = ""


def lines(file: BinaryIO) -> Iterator[Line]:
    """The lines of `file` from where it stands, each with its line ending.

    UTF-8 with or without a mark, and UTF-16 or UTF-32 with one. Nothing else is guessed: a wrong
    guess would turn what people wrote into other letters without a word.
    """
    encoding = _encoding(file)
    # Bytes that are no UTF-8 come out as surrogates, which no valid text holds.
    errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
    text = io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")
    try:
        number = 0
        while read := text.readline(LONGEST_LINE + 1):
            number += 1
            is_whole = len(read) <= LONGEST_LINE
            yield Line(number, read, _fault(read, encoding) if is_whole else _TOO_LONG)
            while not is_whole and not read.endswith(("\n", "\r")) and read:
                read = text.readline(LONGEST_LINE)
    finally:
        if not file.closed:
            text.detach()  # the file is the caller's to close


def rows(read: Iterable[Line], delimiter: str) -> Iterator[tuple[Line, list[str]]]:
    """Rows of cells, as CSV with quotes where they are right and as plain cells where not.

    PartiPrompts' TSV, for one, has bare quotes in its prompts. A row with a fault has no cells;
    empty lines are left out.
    """
    waiting: deque[Line] = deque()
    source = iter(read)
    while (first := _next(waiting, source)) is not None:
        if first.fault:
            yield first, []
        elif first.text.strip():
            yield first, _cells(first, waiting, source, delimiter)


def _cells(first: Line, waiting: deque[Line], source: Iterator[Line], delimiter: str) -> list[str]:
    taken = [first]
    while len(taken) <= MOST_LINES_OF_A_ROW:
        try:
            return next(csv.reader((line.text for line in taken), delimiter=delimiter, strict=True))
        except csv.Error as error:
            more = None if "end of data" not in str(error) else _next(waiting, source)
        if more is None:
            break
        taken.append(more)
        if more.fault:
            break
    waiting.extendleft(reversed(taken[1:]))
    plain = csv.reader([first.text], delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return next(plain)


def _next(waiting: deque[Line], source: Iterator[Line]) -> Line | None:
    return waiting.popleft() if waiting else next(source, None)


def _encoding(file: BinaryIO) -> str:
    start = file.tell()
    head = file.read(4)
    file.seek(start)
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8-sig")


def _fault(text: str, encoding: str) -> str:
    if "\x00" in text:
        return _NUL
    if encoding != "utf-8-sig":
        return _UNREADABLE.format(encoding=encoding.upper()) if "\ufffd" in text else ""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _UNREADABLE.format(encoding="UTF-8")
    return ""
