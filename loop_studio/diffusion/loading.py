"""A folder or a hub id becomes a Stable Diffusion pipeline, or one sentence that says why not."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from loop_studio.errors import ModelUnusable
from loop_studio.model_folder import PIPELINE, variant


def load_pipeline(
    model: str | Path, dtype: torch.dtype, token: str | None
) -> StableDiffusionPipeline:
    """The whole pipeline on the CPU; raises ModelUnusable."""
    try:
        kind = StableDiffusionPipeline.load_config(str(model), token=token).get("_class_name")
        if kind != PIPELINE:
            raise ModelUnusable(
                f"{model} is a {kind}; LOOP Studio trains models of the kind {PIPELINE}."
            )
        return StableDiffusionPipeline.from_pretrained(
            str(model),
            safety_checker=None,
            dtype=dtype,
            token=token,
            use_safetensors=True,  # or diffusers reads pickled weights where it finds no other
            variant=variant(Path(model)),
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelUnusable(
            f"The model {model} could not be loaded as Stable Diffusion ({_first(error)}). "
            "Download it again, or make a project with another folder or hub id."
        ) from error


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
