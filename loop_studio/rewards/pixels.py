"""Rewards that are formulas of pixels. No weights, no tensor library, exact to the last digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from loop_studio.errors import RewardFailed
from loop_studio.settings import Settings

JPEG_QUALITY = 95
THUMBNAIL = (32, 32)

Floats = NDArray[np.float64]


def rgb(image: Image) -> Floats:
    """Pixels (H, W, 3) from 0 to 255."""
    return np.asarray(image.convert("RGB"), dtype=np.float64)


def luma(image: Image) -> Floats:
    """Light (H, W) from 0 to 255, weighted as in ITU-R BT.601."""
    weighted: Floats = rgb(image) @ np.array([0.299, 0.587, 0.114])
    return weighted


def jpeg_kilobytes(image: Image) -> float:
    """Size as a JPEG of quality 95 in units of 1,000 bytes.

    Source: the incompressibility of DDPO (Black et al. 2023), ddpo-pytorch's rewards.py.
    """
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.tell() / 1000


def colourfulness(image: Image) -> float:
    """sqrt(s_rg^2 + s_yb^2) + 0.3 sqrt(m_rg^2 + m_yb^2), rg = R - G, yb = (R + G)/2 - B.

    s and m are standard deviation and mean over the pixels, 0 to 255. Source: Hasler and
    Suesstrunk 2003, "Measuring colourfulness in natural images", the metric M(3).
    """
    red, green, blue = np.moveaxis(rgb(image), -1, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread, mean = opponents.std(axis=(1, 2)), opponents.mean(axis=(1, 2))
    return float(np.hypot(*spread) + 0.3 * np.hypot(*mean))


def brightness(image: Image) -> float:
    """Mean light, from 0 (black) to 1 (white)."""
    return float(luma(image).mean() / 255)


def contrast(image: Image) -> float:
    """Root mean square contrast: standard deviation of light on a scale of 0 to 1."""
    return float(luma(image).std() / 255)


def sharpness(image: Image) -> float:
    """Variance of the Laplacian (kernel 0 1 0 / 1 -4 1 / 0 1 0) of light, inside the border.

    Source: Pech-Pacheco et al. 2000. A picture narrower than three pixels has none: 0.
    """
    light = luma(image)
    if min(light.shape) < 3:
        return 0.0
    around = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    return float((around - 4 * light[1:-1, 1:-1]).var())


def variety(images: list[Image]) -> list[float]:
    """Mean root-mean-square difference of each picture to the others, as 32 x 32 pixels in [0, 1].

    Raises RewardFailed for a picture alone.
    """
    if len(images) < 2:
        raise RewardFailed(
            "The reward variety compares the pictures of one group; try it on a group.",
            lasting=False,
        )
    small = [rgb(image.convert("RGB").resize(THUMBNAIL, Resampling.BOX)) / 255 for image in images]
    flat = np.stack(small).reshape(len(images), -1)
    apart = np.sqrt(((flat[:, None] - flat[None]) ** 2).mean(-1))
    return [float(total) / (len(images) - 1) for total in apart.sum(1)]


_POINTWISE: dict[str, Callable[[Image], float]] = {
    "jpeg_compressibility": lambda image: -jpeg_kilobytes(image),
    "jpeg_incompressibility": jpeg_kilobytes,
    "colourfulness": colourfulness,
    "brightness": brightness,
    "contrast": contrast,
    "sharpness": sharpness,
}


@dataclass(frozen=True)
class Pixels:
    """A formula as a reward model; the prompts do not matter."""

    formula: Callable[[list[Image]], list[float]]
    version: str = "1"

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """One score per picture."""
        return self.formula(images)


def build(name: str, settings: Settings, values: Mapping[str, str], device: str) -> Pixels:
    """What the catalogue's pixel rewards load."""
    if name == "variety":
        return Pixels(variety)
    formula = _POINTWISE[name]
    return Pixels(lambda images: [formula(image) for image in images])
