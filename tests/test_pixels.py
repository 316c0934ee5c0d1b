"""What pictures look like by their pixels: known pictures, known verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from loop_studio import pixels

SIZE = 64
DRAW = np.random.default_rng(0)


def disc(ground: int, colour: tuple[int, int, int], radius: int = 12):
    y, x = np.mgrid[:SIZE, :SIZE]
    picture = np.full((SIZE, SIZE, 3), ground, np.uint8)
    picture[(x - 32) ** 2 + (y - 32) ** 2 < radius**2] = colour
    return picture


ORDINARY = {
    "a disc on light": disc(235, (211, 58, 44)),
    "a disc on dark": disc(20, (47, 98, 201)),
    "white on black": disc(12, (240, 240, 240)),
    "a smooth gradient": np.repeat(np.linspace(30, 220, SIZE).astype(np.uint8), SIZE * 3).reshape(
        SIZE, SIZE, 3
    ),
}
BROKEN = {
    "one colour": np.full((SIZE, SIZE, 3), 120, np.uint8),
    "almost one colour": (120 + DRAW.integers(-3, 4, (SIZE, SIZE, 3))).astype(np.uint8),
    "blown out": np.where(DRAW.random((SIZE, SIZE, 1)) < 0.5, 0, 255).repeat(3, 2).astype(np.uint8),
    "white noise": DRAW.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_picture_is_not_broken(name: str) -> None:
    assert pixels.broken(ORDINARY[name][None]).tolist() == [False]


@pytest.mark.parametrize("name", BROKEN)
def test_a_blank_or_blown_or_noisy_picture_is_broken(name: str) -> None:
    assert pixels.broken(BROKEN[name][None]).tolist() == [True]


def test_diversity_is_the_mean_distance_within_a_prompt_and_never_between_two() -> None:
    black, grey, white = (np.full((8, 8, 3), value, np.uint8) for value in (0, 51, 255))
    pictures = np.stack([black, grey, white, white])
    assert pixels.diversity(pictures, ["a", "a", "b", "b"]) == pytest.approx((0.2 + 0.0) / 2)
    assert pixels.diversity(pictures[:1], ["a"]) == 0.0
