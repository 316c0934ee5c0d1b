"""The referee: reads what a picture shows. For measurement only, never for rewards.

A small detector. Every cell of a 16x16 grid says how likely the centre of an object lies there,
and the shape, colour and texture of that object; each of the three has a last class
`unreadable`. What the prompt asks is then checked by plain code on the objects found.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from loop_studio.starter.captions import COLOURS, SHAPES, TEXTURES, Phrase, parse_caption
from loop_studio.starter.paths import REFEREE_WEIGHTS

CELL = 4  # pixels per grid cell
THRESHOLD = 0.35  # least score of an object's centre
UNREADABLE = "unreadable"
NAMES = {"shape": SHAPES, "colour": COLOURS, "texture": TEXTURES}


@dataclass(frozen=True)
class Seen:
    """One object found in a picture; each word may be `unreadable`."""

    shape: str
    colour: str
    texture: str
    x: float  # pixels
    y: float  # pixels
    score: float


@dataclass(frozen=True)
class Verdict:
    """Whether a picture keeps what its prompt says; None where the prompt says nothing."""

    shape: bool | None
    colour: bool | None
    texture: bool | None
    count: bool | None
    relation: bool | None

    @property
    def all_right(self) -> bool:
        """Nothing that the prompt says is wrong."""
        said = (self.shape, self.colour, self.texture, self.count, self.relation)
        return all(value is not False for value in said)


class RefereeNet(nn.Module):
    """(B, 3, 64, 64) in [-1, 1] to (B, 1 + 11 + 9 + 4, 16, 16): centre, shape, colour, texture."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        outputs = 1 + sum(len(names) + 1 for names in NAMES.values())
        self.fine = nn.Sequential(
            _block(3, width, stride=2), _block(width, width), _block(width, 2 * width, stride=2),
            _block(2 * width, 2 * width),
        )  # fmt: skip
        self.coarse = nn.Sequential(
            _block(2 * width, 3 * width, stride=2), _block(3 * width, 3 * width),
            _block(3 * width, 4 * width, stride=2), _block(4 * width, 4 * width),
            nn.Upsample(scale_factor=4), _block(4 * width, 2 * width),
        )  # fmt: skip
        self.head = nn.Sequential(
            _block(4 * width, 3 * width), _block(3 * width, 3 * width),
            nn.Conv2d(3 * width, outputs, 1),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits per cell."""
        fine = self.fine(pictures)
        logits: Tensor = self.head(torch.cat([fine, self.coarse(fine)], dim=1))
        return logits


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.ReLU()
    )


def split_logits(logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Centre logits (B, 16, 16) and class logits by attribute (B, classes, 16, 16)."""
    sizes = [1, *(len(names) + 1 for names in NAMES.values())]
    centre, *classes = logits.split(sizes, dim=1)
    return centre[:, 0], dict(zip(NAMES, classes, strict=True))


@functools.cache
def load_referee(weights: Path = REFEREE_WEIGHTS) -> RefereeNet:
    """The trained referee in float32."""
    net = RefereeNet()
    net.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
    return net.eval()


@torch.no_grad()
def read(images: np.ndarray, net: RefereeNet | None = None) -> list[list[Seen]]:
    """Objects in each of (N, 64, 64, 3) uint8 pictures, the surest first."""
    net = net or load_referee()
    found: list[list[Seen]] = []
    for start in range(0, len(images), 64):
        batch = torch.from_numpy(np.ascontiguousarray(images[start : start + 64]))
        centre, classes = split_logits(net(batch.permute(0, 3, 1, 2).float() / 127.5 - 1))
        peaks = _peaks(centre.sigmoid())
        best = {name: logits.argmax(1).numpy() for name, logits in classes.items()}
        found += [_objects(peaks[i].numpy(), {k: v[i] for k, v in best.items()})
                  for i in range(len(batch))]  # fmt: skip
    return found


def _peaks(scores: Tensor) -> Tensor:
    """Scores (B, 16, 16) with 0 wherever a neighbour within two cells is higher."""
    highest = nn.functional.max_pool2d(scores[:, None], 5, 1, 2)[:, 0]
    return torch.where((scores == highest) & (scores >= THRESHOLD), scores, 0.0)


def _objects(peaks: np.ndarray, best: dict[str, np.ndarray]) -> list[Seen]:
    """Objects at the peaks (16, 16); `best` holds class indices (16, 16) by attribute."""
    seen = []
    for row, column in zip(*np.nonzero(peaks), strict=True):
        words = {name: (*NAMES[name], UNREADABLE)[best[name][row, column]] for name in NAMES}
        x, y = (column + 0.5) * CELL, (row + 0.5) * CELL
        seen.append(Seen(**words, x=float(x), y=float(y), score=float(peaks[row, column])))
    return sorted(seen, key=lambda one: -one.score)


def verdict(images: np.ndarray, prompts: list[str]) -> list[Verdict]:
    """Judges pictures (N, 64, 64, 3) uint8; a prompt outside the language is all None."""
    return [judge(seen, prompt) for seen, prompt in zip(read(images), prompts, strict=True)]


def judge(seen: list[Seen], prompt: str) -> Verdict:
    """Whether the objects seen keep what the prompt says."""
    description = parse_caption(prompt)
    if description is None:
        return Verdict(None, None, None, None, None)
    if description.relation is None:
        return _judge_alike(seen, description.phrases[0])
    return _judge_two(seen, description.phrases, description.relation)


def _judge_alike(seen: list[Seen], phrase: Phrase) -> Verdict:
    """One object, or several alike: every object seen must be as said."""

    def every(attribute: str) -> bool | None:
        word = getattr(phrase, attribute)
        if word is None:
            return None
        return bool(seen) and all(getattr(one, attribute) == word for one in seen)

    return Verdict(
        every("shape"), every("colour"), every("texture"), len(seen) == phrase.count, None
    )


def _judge_two(seen: list[Seen], phrases: tuple[Phrase, ...], relation: str) -> Verdict:
    """Two objects. Colour and texture are right only on the shape they belong to (binding)."""
    words = Counter(one.shape for one in seen)
    shapes_right = words == Counter(phrase.shape for phrase in phrases)
    matches = [
        pair
        for pair in permutations(seen, 2)
        if all(one.shape == phrase.shape for one, phrase in zip(pair, phrases, strict=True))
    ]

    def bound(attribute: str) -> bool | None:
        said = [getattr(phrase, attribute) for phrase in phrases]
        if said == [None, None]:
            return None
        return any(
            all(word is None or getattr(one, attribute) == word
                for one, word in zip(pair, said, strict=True))
            for pair in matches
        )  # fmt: skip

    related = None
    if relation != "and":
        related = any(_stands(first, second, relation) for first, second in matches)
    return Verdict(shapes_right, bound("colour"), bound("texture"), len(seen) == 2, related)


def _stands(first: Seen, second: Seen, relation: str) -> bool:
    """Whether the first lies as said of the second, more along that axis than across it."""
    dx, dy = second.x - first.x, second.y - first.y
    along, across = (dx, dy) if relation in ("left of", "right of") else (dy, dx)
    if relation in ("right of", "below"):
        along = -along
    return along > abs(across)
