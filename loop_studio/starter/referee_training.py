"""Trains the referee on rendered scenes, worn as an autoencoder and a denoiser wear them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn

from loop_studio.starter import render
from loop_studio.starter.referee import CELL, NAMES, UNREADABLE, RefereeNet, split_logits
from loop_studio.starter.training import StepLoss
from loop_studio.starter.world import CANVAS, Scene, sample_scene

SEED = 31
BATCH = 48
GRID = CANVAS // CELL
UNREADABLE_SHARE = 0.15  # scenes with one object that is spoilt
IGNORED = -100  # class target where there is no object


def training_example(index: int, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """Picture (64, 64, 3) uint8 and targets (4, 16, 16): centre, shape, colour, texture."""
    rng = np.random.default_rng((seed, index))
    scene = sample_scene(rng, held_out=True)
    spoilt = int(rng.integers(len(scene.things))) if rng.random() < UNREADABLE_SHARE else None
    picture = render.render(scene)
    if spoilt is not None:
        picture = _spoil(picture, scene, spoilt, rng)
    return wear(picture, rng), targets_of(scene, spoilt)


def targets_of(scene: Scene, spoilt: int | None = None) -> np.ndarray:
    """Centre scores (0 to 1) and class indices of a scene's objects, float32 (4, 16, 16)."""
    targets = np.full((4, GRID, GRID), IGNORED, np.float32)
    targets[0] = 0.0
    rows, columns = np.mgrid[:GRID, :GRID]
    for i, thing in enumerate(scene.things):
        row, column = thing.y / CELL - 0.5, thing.x / CELL - 0.5
        square = (rows - round(row)) ** 2 + (columns - round(column)) ** 2
        np.maximum(targets[0], np.exp(-square / 1.5), out=targets[0])
        near = square <= 2
        words = {"shape": thing.shape, "colour": thing.colour, "texture": thing.texture}
        for channel, (name, names) in enumerate(NAMES.items(), start=1):
            unreadable = i == spoilt and name != "colour"
            word = UNREADABLE if unreadable else words[name]
            targets[channel][near] = (*names, UNREADABLE).index(word)
    return targets


def wear(picture: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Blur, bending, changes of colour and noise, as generated pictures have them."""
    if rng.random() < 0.6:
        picture = _bend(picture, rng.uniform(0.3, 1.6), rng)
    if rng.random() < 0.6:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.0)))
    values = np.asarray(picture).astype(float)
    values = values * rng.uniform(0.9, 1.08, 3) + rng.uniform(-12, 12, 3)
    if rng.random() < 0.6:
        coarse = rng.normal(0, rng.uniform(2, 10), (16, 16, 3))
        values += coarse.repeat(4, 0).repeat(4, 1)
        values += rng.normal(0, rng.uniform(1, 6), values.shape)
    return np.clip(values, 0, 255).astype(np.uint8)


def _bend(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Moves pixels by a smooth random field, `strength` pixels at one standard deviation."""
    field = rng.normal(0, strength, (2, 9, 9))
    fine = np.stack([np.asarray(Image.fromarray(part.astype(np.float32)).resize(
        (CANVAS, CANVAS), Image.Resampling.BICUBIC)) for part in field])  # fmt: skip
    rows, columns = np.mgrid[:CANVAS, :CANVAS]
    y = np.clip(rows + fine[0], 0, CANVAS - 1.001)
    x = np.clip(columns + fine[1], 0, CANVAS - 1.001)
    low_y, low_x = y.astype(int), x.astype(int)
    part_y, part_x = (y - low_y)[..., None], (x - low_x)[..., None]
    values = np.asarray(picture).astype(np.float32)
    top = values[low_y, low_x] * (1 - part_x) + values[low_y, low_x + 1] * part_x
    bottom = values[low_y + 1, low_x] * (1 - part_x) + values[low_y + 1, low_x + 1] * part_x
    return Image.fromarray((top * (1 - part_y) + bottom * part_y).astype(np.uint8))


def _spoil(picture: Image.Image, scene: Scene, which: int, rng: np.random.Generator) -> Image.Image:
    """Makes one object unreadable: its outline a blend of two shapes, or torn by strong bending."""
    thing = scene.things[which]
    left, top = int(thing.x - thing.radius - 2), int(thing.y - thing.radius - 2)
    box = (left, top, int(thing.x + thing.radius + 2), int(thing.y + thing.radius + 2))
    if rng.random() < 0.5:
        torn = _bend(picture, rng.uniform(3.5, 6.0), rng)
    else:
        other = replace(
            thing, shape=str(rng.choice([s for s in NAMES["shape"] if s != thing.shape]))
        )
        twin = render.render(replace(scene, things=(other,)))
        alone = render.render(replace(scene, things=(thing,)))
        torn = Image.blend(alone, twin, rng.uniform(0.42, 0.58))
        torn = torn.filter(ImageFilter.GaussianBlur(1.2))
    spoilt = picture.copy()
    spoilt.paste(torn.crop(box), box[:2])
    return spoilt


def referee_loss(net: RefereeNet) -> StepLoss:
    """Every step draws new scenes; scene i of step n depends on (n, i) alone."""

    def loss_of(step: int, _generator: torch.Generator) -> Tensor:
        examples = [training_example(step * BATCH + i) for i in range(BATCH)]
        pictures = torch.from_numpy(np.stack([picture for picture, _ in examples]))
        targets = torch.from_numpy(np.stack([target for _, target in examples]))
        return detection_loss(net(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1), targets)

    return loss_of


def detection_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of centres (positives weigh more) and of classes where an object is."""
    centre, classes = split_logits(logits)
    weight = 1 + 8 * targets[:, 0]
    loss = nn.functional.binary_cross_entropy_with_logits(centre, targets[:, 0], weight)
    for channel, class_logits in enumerate(classes.values(), start=1):
        loss = loss + 0.5 * nn.functional.cross_entropy(
            class_logits, targets[:, channel].long(), ignore_index=IGNORED
        )
    return loss
