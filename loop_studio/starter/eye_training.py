"""Trains the rater's eye's texture CNN on crops of rendered scenes."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn

from loop_studio.starter.captions import TEXTURES
from loop_studio.starter.eye import TextureNet, texture_crops
from loop_studio.starter.render import render
from loop_studio.starter.training import StepLoss
from loop_studio.starter.world import sample_scene

SEED = 41
BATCH = 64


def alike_scene(index: int, seed: int = SEED) -> tuple[np.ndarray, int]:
    """A worn picture (64, 64, 3) uint8 whose objects share one texture, and its index."""
    rng = np.random.default_rng((seed, index))
    while True:
        scene = sample_scene(rng, held_out=True)
        textures = {thing.texture for thing in scene.things}
        if len(textures) == 1 and (textures != {"solid"} or rng.random() < 0.6):
            break
    picture = render(scene)
    if rng.random() < 0.7:
        picture = picture.filter(ImageFilter.BoxBlur(rng.uniform(0.1, 0.9)))
    if rng.random() < 0.4:
        side = int(rng.integers(36, 64))
        picture = picture.resize((side, side), Image.Resampling.BILINEAR).resize((64, 64))
    values = np.asarray(picture) * rng.uniform(0.85, 1.1) + rng.normal(0, rng.uniform(0, 5), 3)
    values = values + rng.normal(0, rng.uniform(0, 5), values.shape)
    return np.clip(values, 0, 255).astype(np.uint8), TEXTURES.index(textures.pop())


def eye_loss(net: TextureNet) -> StepLoss:
    """Every step draws new scenes."""

    def loss_of(step: int, _generator: torch.Generator) -> Tensor:
        examples = [alike_scene(step * BATCH + i) for i in range(BATCH)]
        crops = texture_crops(np.stack([picture for picture, _ in examples]))
        labels = torch.tensor([label for _, label in examples])
        return nn.functional.cross_entropy(net(crops), labels)

    return loss_of
