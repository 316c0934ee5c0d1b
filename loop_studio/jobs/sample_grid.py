"""Before and after on one sheet: a row per prompt, version 0 on the left, the version beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from loop_studio.storage.files import FileStore
from loop_studio.storage.schema import Image as StoredImage

MOST_ROWS = 8
_CELL = 256  # pixels; larger pictures are scaled down to it
_GAP, _LINE = 8, 28
_PAPER, _INK = "#f4f4f4", "#161616"


@dataclass(frozen=True)
class Grid:
    """A PNG and the prompts of its rows."""

    png: bytes
    prompts: list[str]


def draw(
    files: FileStore,
    before: Sequence[StoredImage],
    after: Sequence[StoredImage],
    titles: tuple[str, str],
) -> Grid | None:
    """The sheet of the first prompts that both sides show; None where they share no picture."""
    rows = _rows(before, after)[:MOST_ROWS]
    if not rows:
        return None
    height = _LINE + len(rows) * (_LINE + _CELL + _GAP)
    columns = max(len(pairs) for _, pairs in rows)
    sheet = Image.new("RGB", (2 * columns * (_CELL + _GAP) + _GAP, height), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for side, title in enumerate(titles):
        pen.text((_left(side, 0, columns), _GAP // 2), title, _INK, font)
    for number, (prompt, pairs) in enumerate(rows):
        top = _LINE + number * (_LINE + _CELL + _GAP)
        label = prompt if prompt.isascii() else f"Prompt {number + 1}"  # what the font can write
        pen.text((_GAP, top), label[: 2 * columns * _CELL // 9], _INK, font)
        for column, pair in enumerate(pairs):
            for side, image in enumerate(pair):
                sheet.paste(_cell(files, image), (_left(side, column, columns), top + _LINE))
    data = BytesIO()
    sheet.save(data, "PNG")
    return Grid(data.getvalue(), [prompt for prompt, _ in rows])


def _rows(
    before: Sequence[StoredImage], after: Sequence[StoredImage]
) -> list[tuple[str, list[tuple[StoredImage, StoredImage]]]]:
    """By prompt, in order: pairs of pictures of the same seed."""
    first = {(image.prompt, image.seed): image for image in before}
    rows: dict[str, list[tuple[StoredImage, StoredImage]]] = {}
    for image in after:
        if (image.prompt, image.seed) in first:
            pair = (first[image.prompt, image.seed], image)
            rows.setdefault(image.prompt, []).append(pair)
    return list(rows.items())


def _left(side: int, column: int, columns: int) -> int:
    return _GAP + (side * columns + column) * (_CELL + _GAP)


def _cell(files: FileStore, image: StoredImage) -> Image.Image:
    with files.open(image.key) as file:
        picture = Image.open(file).convert("RGB")
    if max(picture.size) < _CELL:  # small pictures grow by whole factors and stay sharp
        factor = _CELL // max(picture.size)
        size = (picture.width * factor, picture.height * factor)
        return picture.resize(size, Image.Resampling.NEAREST)
    picture.thumbnail((_CELL, _CELL))
    return picture
