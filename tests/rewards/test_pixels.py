"""Formulas of pixels, on pictures whose values can be worked out by hand."""

from __future__ import annotations

from io import BytesIO
from math import sqrt

import numpy as np
import pytest
from PIL import Image

from loop_studio.errors import RewardFailed
from loop_studio.rewards import pixels
from loop_studio.rewards.model import RewardModels
from loop_studio.settings import Settings
from tests.rewards.tiny_rewards import pictures


def plain(red: int, green: int, blue: int, side: int = 8) -> Image.Image:
    return Image.new("RGB", (side, side), (red, green, blue))


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", (8, 8), left)
    image.paste(right, (4, 0, 8, 8))
    return image


def test_a_jpegs_size_is_that_of_the_file_in_thousands_of_bytes() -> None:
    (noise,) = pictures(1, (64, 64))
    file = BytesIO()
    noise.save(file, "JPEG", quality=95)
    assert pixels.jpeg_kilobytes(noise) == len(file.getvalue()) / 1000
    assert pixels.jpeg_kilobytes(plain(200, 10, 10, 64)) < 1.0 < pixels.jpeg_kilobytes(noise)


def test_colourfulness_of_one_colour_is_its_distance_from_grey() -> None:
    assert pixels.colourfulness(plain(90, 90, 90)) == 0
    # red: rg = 255, yb = 127.5, no spread
    assert pixels.colourfulness(plain(255, 0, 0)) == pytest.approx(0.3 * sqrt(255**2 + 127.5**2))


def test_colourfulness_of_two_colours_has_their_spread_too() -> None:
    # red and blue halves: rg is 255 and 0, yb is 127.5 and -255
    spread = sqrt(127.5**2 + 191.25**2)
    mean = sqrt(127.5**2 + 63.75**2)
    found = pixels.colourfulness(halves((255, 0, 0), (0, 0, 255)))
    assert found == pytest.approx(spread + 0.3 * mean)


def test_brightness_goes_from_black_to_white() -> None:
    assert pixels.brightness(plain(0, 0, 0)) == 0
    assert pixels.brightness(plain(255, 255, 255)) == pytest.approx(1)
    assert pixels.brightness(plain(255, 0, 0)) == pytest.approx(0.299)


def test_contrast_of_black_beside_white_is_a_half() -> None:
    assert pixels.contrast(plain(40, 50, 60)) == pytest.approx(0)
    assert pixels.contrast(halves((0, 0, 0), (255, 255, 255))) == pytest.approx(0.5)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    assert pixels.sharpness(plain(40, 50, 60)) == pytest.approx(0)
    # an edge of height h between columns 3 and 4: of six columns two are h and -h
    edge = halves((0, 0, 0), (100, 100, 100))
    assert pixels.sharpness(edge) == pytest.approx(100**2 / 3)
    assert pixels.sharpness(Image.new("RGB", (2, 9))) == 0


def test_variety_is_the_mean_distance_to_the_others() -> None:
    black, white = plain(0, 0, 0), plain(255, 255, 255)
    assert pixels.variety([black, black, white]) == pytest.approx([0.5, 0.5, 1.0])
    with pytest.raises(RewardFailed, match="try it on a group"):
        pixels.variety([black])


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("jpeg_compressibility", "noise", "plain"),
        ("jpeg_incompressibility", "plain", "noise"),
        ("colourfulness", "plain", "noise"),
        ("brightness", "noise", "plain"),
        ("contrast", "plain", "noise"),
        ("sharpness", "plain", "noise"),
    ],
)
def test_each_is_to_be_had_by_its_name_and_ranks_two_pictures(
    settings: Settings, name: str, low: str, high: str
) -> None:
    (noise,) = pictures(1)
    known = {"noise": noise, "plain": plain(250, 250, 250, 16)}
    found = RewardModels(settings).score(name, {}, [known[low], known[high]], ["", ""])
    assert found[0] < found[1]


def test_grey_pictures_and_those_with_transparency_are_taken() -> None:
    grey = Image.fromarray(np.full((8, 8), 51, np.uint8))
    assert pixels.brightness(grey) == pytest.approx(0.2)
    assert pixels.brightness(grey.convert("RGBA")) == pytest.approx(0.2)
