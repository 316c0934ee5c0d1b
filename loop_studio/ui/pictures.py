"""A picture that someone sends: looked at before the worker is asked to open it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from loop_studio.errors import Invalid

KINDS = ("PNG", "JPEG", "WEBP")
LONGEST_SIDE = 4096  # pixels


def check_picture(path: Path) -> None:
    """Raise Invalid for a file that is no picture, is damaged, or has too many pixels."""
    try:
        with Image.open(path, formats=KINDS) as picture:
            size = picture.size
            picture.verify()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise Invalid("That is no picture; send a whole PNG, JPEG or WebP file.") from error
    if max(size) > LONGEST_SIDE:
        raise Invalid(
            f"The picture has {size[0]} x {size[1]} pixels; a side may have {LONGEST_SIDE} at most."
        )
