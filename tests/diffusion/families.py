"""Every family that the studio trains as a tiny folder, and diffusers' own pipeline on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from numpy.typing import NDArray

from loop_studio.diffusion.adapters import LoraShape
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.rl.types import Sampler
from tests import tiny

FAMILIES = ("SD epsilon", "SD v-prediction", "SDXL")
VISIBLE = 0.4  # alpha times the weights' variance: taking any one module away can be seen


def save(folder: Path, family: str) -> Path:
    """The folder of one family."""
    if family == "SDXL":
        tiny.xl_pipeline().save_pretrained(folder)
        return folder
    return tiny.save_folder(folder, "epsilon" if family == "SD epsilon" else "v_prediction")


def policy(folder: Path, shape: LoraShape) -> StableDiffusionPolicy:
    """The studio's model, with every tensor of its live LoRA non-zero."""
    loaded = StableDiffusionPolicy.load(
        folder, shape, device=torch.device("cpu"), dtype=torch.float32
    )
    stir(loaded, shape)
    return loaded


def stir(built: StableDiffusionPolicy, shape: LoraShape) -> None:
    """Give the live LoRA this shape, and weights so large that taking one module away is seen."""
    built.adapters.reset("live", shape, seed=0)
    tiny.stir(built, "live", seed=1, size=(VISIBLE / shape.alpha) ** 0.5)


def plain(folder: Path) -> DiffusionPipeline:
    """diffusers' own pipeline on the same model, as a person would load it."""
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.scheduler = DDIMScheduler.from_config(
        {**tiny.SCHEDULE, "prediction_type": pipeline.scheduler.config.prediction_type}
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def pictures(
    pipeline: DiffusionPipeline, prompts: list[str], seeds: list[int], sampler: Sampler
) -> NDArray[np.uint8]:
    """What diffusers makes of the same prompts and seeds, (B, H, W, 3)."""
    images = pipeline(
        prompts,
        num_inference_steps=sampler.num_inference_steps,
        guidance_scale=sampler.guidance_scale,
        eta=sampler.eta,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        output_type="np",
    ).images
    made: NDArray[np.uint8] = (images * 255).round().astype(np.uint8)
    return made
