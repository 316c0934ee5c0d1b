"""Measures the starter and writes its model card. All judging is the referee's and the eye's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from loop_studio.shares import Share
from loop_studio.starter.eye import TASTES, satisfies
from loop_studio.starter.prompts import (
    HELD_OUT_COUNTS,
    HELD_OUT_ONE_OBJECT,
    HELD_OUT_TWO_OBJECTS,
)
from loop_studio.starter.referee import Verdict, verdict

STEPS = 20  # DDIM steps
ETA = 1.0
GUIDANCE = 4.0
BATCH = 16


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """The exported folder as any user of diffusers would load it."""
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, use_safetensors=True, safety_checker=None
    )
    assert isinstance(pipeline, StableDiffusionPipeline)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    guidance: float = GUIDANCE,
) -> np.ndarray:
    """One picture per prompt and seed, (N, 64, 64, 3) uint8."""
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), BATCH):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[start : start + BATCH]]
        pictures += pipeline(
            list(prompts[start : start + BATCH]),
            num_inference_steps=STEPS,
            guidance_scale=guidance,
            eta=ETA,
            height=64,
            width=64,
            generator=generators,
        ).images
    return np.stack([np.asarray(picture) for picture in pictures])


def share_right(verdicts: Sequence[Verdict], attribute: str) -> Share:
    """Share of pictures right in one attribute, among those whose prompt says it."""
    said = [value for one in verdicts if (value := getattr(one, attribute)) is not None]
    return Share(sum(said), len(said))


@dataclass(frozen=True)
class Section:
    """Prompts of one kind and what is asked of their pictures."""

    title: str
    prompts: tuple[str, ...]
    seeds_each: int
    attributes: tuple[str, ...]  # of a verdict


SECTIONS = (
    Section("One object", HELD_OUT_ONE_OBJECT, 8, ("colour", "shape", "texture", "all_right")),
    Section(
        "Two objects",
        HELD_OUT_TWO_OBJECTS,
        2,
        ("shape", "colour", "relation", "count", "all_right"),
    ),
    Section("Two to four of a kind", HELD_OUT_COUNTS, 4, ("count", "colour", "shape", "all_right")),
)


@dataclass(frozen=True)
class Sampled:
    """Pictures and what was asked for."""

    prompts: list[str]
    pictures: np.ndarray  # (N, 64, 64, 3) uint8


@dataclass(frozen=True)
class Asked:
    """Prompts, each with `seeds_each` seeds of its own, from `first_seed` on."""

    prompts: tuple[str, ...]
    seeds_each: int
    first_seed: int


def sample_once(model: Path, asked: Asked, folder: Path) -> Sampled:
    """Samples from the model folder, or reads what was sampled from the same weights before."""
    prompts = [prompt for prompt in asked.prompts for _ in range(asked.seeds_each)]
    weights = (model / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    said = repr((asked, GUIDANCE, STEPS, ETA)).encode()
    file = folder / f"{hashlib.sha256(weights + said).hexdigest()[:16]}.npy"
    if not file.exists():
        seeds = range(asked.first_seed, asked.first_seed + len(prompts))
        pictures = generate(load_pipeline(model), prompts, seeds)
        folder.mkdir(parents=True, exist_ok=True)
        with file.with_suffix(".partial").open("wb") as partial:
            np.save(partial, pictures)
        file.with_suffix(".partial").rename(file)
    return Sampled(prompts, np.load(file))


def measure_section(sampled: Sampled, attributes: Sequence[str]) -> dict[str, Share]:
    """Shares by attribute, judged by the referee."""
    verdicts = verdict(sampled.pictures, sampled.prompts)
    return {attribute: share_right(verdicts, attribute) for attribute in attributes}


def measure_tastes(sampled: Sampled) -> dict[str, Share]:
    """Shares of the four tastes, judged by the rater's eye."""
    shares = {}
    for taste in TASTES:
        hits = satisfies(taste, sampled.pictures, sampled.prompts)
        shares[taste] = Share(int(hits.sum()), len(hits))
    return shares
