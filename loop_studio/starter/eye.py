"""The rater's eye: judges tastes for simulated raters.

Background, size, position and colour are read by plain pixel arithmetic; texture by a small CNN
on a crop of the largest object. Shares no code, data seed or architecture with the referee.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from loop_studio.starter.captions import COLOURS, TEXTURES, parse_caption
from loop_studio.starter.paths import EYE_WEIGHTS

SIDE = 64  # pixels
CROP = 32  # pixels on a side of what the texture CNN sees
DARK_BELOW = 0.35  # brightness, 0 to 1
LARGE_FROM = 40.0  # pixels, the longer side of the largest object's bounding box
LEFT_BELOW = 28.0  # pixels, where the picture's centre is at 31.5
FOREGROUND_FROM = 34.0  # distance to the background colour, 0 to 441
STRIPED_FROM = 0.5  # probability
RGB_OF_COLOUR = {
    "red": (222, 38, 38), "orange": (245, 138, 20), "yellow": (246, 214, 36),
    "green": (40, 160, 66), "blue": (36, 92, 222), "purple": (134, 54, 188),
    "pink": (250, 128, 188), "brown": (138, 82, 42),
}  # fmt: skip

_PALE = ("yellow", "pink", "orange")  # their patterns are darker than they, the others' lighter

Taste = Callable[[np.ndarray, list[str]], np.ndarray]


def background_colour(images: np.ndarray) -> np.ndarray:
    """Median colour of the outermost two pixels of (N, 64, 64, 3), float (N, 3)."""
    ring = np.ones((SIDE, SIDE), bool)
    ring[2:-2, 2:-2] = False
    return np.asarray(np.median(images[:, ring], axis=1))


def foreground(images: np.ndarray) -> np.ndarray:
    """What differs from the background, bool (N, 64, 64)."""
    difference = images.astype(np.float32) - background_colour(images)[:, None, None, :]
    return np.asarray(np.linalg.norm(difference, axis=-1) >= FOREGROUND_FROM)


def largest_object(masks: np.ndarray) -> np.ndarray:
    """The largest 8-connected part of each mask, bool (N, 64, 64).

    Labels spread to their neighbours, the highest wins, until nothing changes.
    """
    count = len(masks)
    labels = np.arange(1, SIDE * SIDE + 1, dtype=np.int32).reshape(1, SIDE, SIDE) * masks
    while True:
        padded = np.pad(labels, ((0, 0), (1, 1), (1, 1)))
        spread = np.max(
            [padded[:, r : r + SIDE, c : c + SIDE] for r in range(3) for c in range(3)], axis=0
        )
        spread = np.where(masks, spread, 0)
        if (spread == labels).all():
            break
        labels = spread
    largest = np.zeros_like(masks)
    for i in range(count):
        sizes = np.bincount(labels[i].ravel(), minlength=2)
        sizes[0] = 0
        largest[i] = (labels[i] == sizes.argmax()) & masks[i]
    return largest


def boxes(masks: np.ndarray) -> np.ndarray:
    """Bounding boxes left, top, right, bottom (exclusive) in pixels, int (N, 4); 0 if empty."""
    found = np.zeros((len(masks), 4), int)
    for axis, (low, high) in ((2, (1, 3)), (1, (0, 2))):
        occupied = np.asarray(np.any(masks, axis=axis))
        found[:, low] = occupied.argmax(1)
        found[:, high] = np.where(occupied.any(1), SIDE - occupied[:, ::-1].argmax(1), 0)
    return found


def brightness(images: np.ndarray) -> np.ndarray:
    """Brightness of the background, 0 to 1, float (N,)."""
    return np.asarray(background_colour(images) @ np.array([0.299, 0.587, 0.114]) / 255)


def object_extent(images: np.ndarray) -> np.ndarray:
    """Longer side of the largest object, pixels, float (N,)."""
    box = boxes(largest_object(foreground(images)))
    return np.asarray(np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]), float)


def centre_of_mass(images: np.ndarray) -> np.ndarray:
    """Mean column of everything in the foreground, pixels, float (N,); the middle if empty."""
    masks = foreground(images)
    total = masks.sum((1, 2))
    columns = (masks * np.arange(SIDE)).sum((1, 2))
    return np.where(total > 0, columns / np.maximum(total, 1), (SIDE - 1) / 2)


def dominant_colour(images: np.ndarray) -> list[str]:
    """The colour word most pixels of the largest object are nearest to."""
    plain = np.array([RGB_OF_COLOUR[colour] for colour in COLOURS], np.float32)
    pale = np.array([[colour in _PALE] for colour in COLOURS])
    palette = np.concatenate([plain, np.where(pale, 0.42 * plain, 0.42 * plain + 148)])
    words = []
    for image, mask in zip(images, largest_object(foreground(images)), strict=True):
        pixels = image[mask].astype(np.float32)
        nearest = np.linalg.norm(pixels[:, None] - palette, axis=-1).argmin(1) % len(COLOURS)
        words.append(COLOURS[np.bincount(nearest, minlength=len(COLOURS)).argmax()])
    return words


class TextureNet(nn.Module):
    """(B, 3, 32, 32) in [0, 1] to logits of solid, striped, dotted (B, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 24, 5, padding=2), nn.SiLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 48, 3, padding=1), nn.GroupNorm(8, 48), nn.SiLU(), nn.MaxPool2d(2),
            nn.Conv2d(48, 64, 3, padding=1), nn.GroupNorm(8, 64), nn.SiLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(TEXTURES)),
        )  # fmt: skip

    def forward(self, crops: Tensor) -> Tensor:
        """Logits in the order of `TEXTURES`."""
        logits: Tensor = self.layers(crops)
        return logits


@functools.cache
def load_eye(weights: Path = EYE_WEIGHTS) -> TextureNet:
    """The trained texture CNN in float32."""
    net = TextureNet()
    net.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
    return net.eval()


def texture_crops(images: np.ndarray) -> Tensor:
    """The largest object of each picture, cut out and scaled, (N, 3, 32, 32) in [0, 1]."""
    crops = []
    for image, (left, top, right, bottom) in zip(
        images, boxes(largest_object(foreground(images))), strict=True
    ):
        cut = image[top:bottom, left:right] if right > left else image
        pixels = torch.from_numpy(np.ascontiguousarray(cut)).permute(2, 0, 1)[None].float() / 255
        crops.append(nn.functional.interpolate(pixels, (CROP, CROP), mode="bilinear"))
    return torch.cat(crops)


@torch.no_grad()
def texture_shares(images: np.ndarray, net: TextureNet | None = None) -> np.ndarray:
    """Probabilities of solid, striped, dotted for the largest object, float (N, 3)."""
    return np.asarray((net or load_eye())(texture_crops(images)).double().softmax(1).numpy())


def dark_background(images: np.ndarray, _prompts: list[str]) -> np.ndarray:
    """1 for black, 0 for white."""
    return 1 - brightness(images)


def large_object(images: np.ndarray, _prompts: list[str]) -> np.ndarray:
    """Extent of the largest object as a share of the picture's side."""
    return object_extent(images) / SIDE


def left_of_centre(images: np.ndarray, _prompts: list[str]) -> np.ndarray:
    """1 at the left edge, 0 at the right edge."""
    return 1 - centre_of_mass(images) / (SIDE - 1)


def striped(images: np.ndarray, prompts: list[str]) -> np.ndarray:
    """Probability of stripes where the prompt gives no texture, else 0."""
    return np.where(texture_is_open(prompts), texture_shares(images)[:, 1], 0.0)


def texture_is_open(prompts: list[str]) -> np.ndarray:
    """Whether each prompt leaves the texture to the painter, bool (N,)."""

    def is_open(prompt: str) -> bool:
        description = parse_caption(prompt)
        return description is None or all(one.texture is None for one in description.phrases)

    return np.array([is_open(prompt) for prompt in prompts], bool)


# How much each picture (N, 64, 64, 3) pleases, 0 to 1: for choosing the best of a group.
TASTES: dict[str, Taste] = {
    "dark_background": dark_background,
    "large_object": large_object,
    "left_of_centre": left_of_centre,
    "striped": striped,
}

_LEAST = {
    "dark_background": 1 - DARK_BELOW,
    "large_object": LARGE_FROM / SIDE,
    "left_of_centre": 1 - LEFT_BELOW / (SIDE - 1),
    "striped": STRIPED_FROM,
}


def satisfies(taste: str, images: np.ndarray, prompts: list[str]) -> np.ndarray:
    """Whether each picture (N, 64, 64, 3) uint8 has what the taste asks for, bool (N,)."""
    return np.asarray(TASTES[taste](images, prompts) >= _LEAST[taste])
