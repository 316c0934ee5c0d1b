"""Pixels to PNG bytes and to rows."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loop_studio.errors import NotFound, RewardFailed
from loop_studio.storage.files import FileStore, new_key
from loop_studio.storage.groups import NewImage

_UNREADABLE = (
    "The picture {key} in the data folder is gone or damaged, so its group cannot be scored. Put "
    "the file back from a backup; the other groups are not touched."
)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """One picture (H, W, 3) as PNG: lossless, since raters must not judge a codec."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def opened(files: FileStore, key: str) -> Image.Image:
    """A stored picture in memory, as RGB.

    Raises RewardFailed for one that is gone or damaged; others can still be scored.
    """
    try:
        with files.open(key) as file:
            return Image.open(BytesIO(file.read())).convert("RGB")
    except (NotFound, OSError, SyntaxError, ValueError) as error:  # Pillow's, of a broken file
        raise RewardFailed(_UNREADABLE.format(key=key), "file_changed", lasting=False) from error


def store(
    files: FileStore,
    pictures: NDArray[np.uint8],
    seeds: Sequence[int],
    prompts: Sequence[str],
    verdicts: Sequence[bool | None],
    first: int = 0,
) -> list[NewImage]:
    """Write pictures (B, H, W, 3) to files; rows follow when their group is recorded.

    `verdicts` are the safety checker's, of `content.verdicts`.
    """
    return [
        NewImage(
            position=first + offset,
            prompt=prompt,
            seed=seed,
            width=pixels.shape[1],
            height=pixels.shape[0],
            file=files.put(new_key(".png"), png(pixels)),
            sensitive=sensitive,
        )
        for offset, (pixels, seed, prompt, sensitive) in enumerate(
            zip(pictures, seeds, prompts, verdicts, strict=True)
        )
    ]
