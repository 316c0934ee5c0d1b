"""Pixels to PNG bytes and to rows."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loop_studio.storage.files import FileStore, new_key
from loop_studio.storage.groups import NewImage


def png(pixels: NDArray[np.uint8]) -> bytes:
    """One picture (H, W, 3) as PNG: lossless, since raters must not judge a codec."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def store(
    files: FileStore,
    pictures: NDArray[np.uint8],
    seeds: Sequence[int],
    prompts: Sequence[str],
    first: int = 0,
) -> list[NewImage]:
    """Write pictures (B, H, W, 3) to files; rows follow when their group is recorded."""
    return [
        NewImage(
            position=first + offset,
            prompt=prompt,
            seed=seed,
            width=pixels.shape[1],
            height=pixels.shape[0],
            file=files.put(new_key(".png"), png(pixels)),
        )
        for offset, (pixels, seed, prompt) in enumerate(zip(pictures, seeds, prompts, strict=True))
    ]
