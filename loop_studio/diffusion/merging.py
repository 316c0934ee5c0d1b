"""A LoRA merged into its base: one pipeline that needs no LoRA any more."""

from __future__ import annotations

from pathlib import Path

import torch

from loop_studio.diffusion.loading import Pipeline, load_pipeline
from loop_studio.errors import ModelUnusable


def merged(folder: Path, lora: Path, dtype: torch.dtype) -> Pipeline:
    """The pipeline of a model folder with a diffusers LoRA file fused into it, on the CPU.

    It makes what the LoRA makes when it acts in every denoising step. Raises ModelUnusable.
    """
    pipeline = load_pipeline(folder, dtype)
    pipeline.load_lora_weights(lora.parent, weight_name=lora.name)
    try:
        pipeline.fuse_lora(safe_fusing=True)
    except ValueError as error:  # a weight of the sum is no number
        raise ModelUnusable(
            "This version's LoRA cannot be merged: a weight of the sum is not a number. "
            "Choose an earlier version."
        ) from error
    pipeline.unload_lora_weights()
    return pipeline
