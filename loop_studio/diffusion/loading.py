"""A hub id becomes a folder, a folder a pipeline of diffusers, or one sentence says why not."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline

from loop_studio.diffusion.conditioning import TextEncoder, TwoTextEncoders
from loop_studio.errors import ModelUnusable
from loop_studio.model_folder import FAMILIES, variant
from loop_studio.settings import Attention

Pipeline: TypeAlias = StableDiffusionPipeline | StableDiffusionXLPipeline


def snapshot(
    hub_id: str, commit: str | None, token: str | None, with_checker: bool = False
) -> Path:
    """The folder of `owner/name` or `owner/name@revision`, downloaded unless it is here already.

    It is named after its commit; with `commit`, it is of that one, wherever the revision points by
    now. Without a network what was downloaded before serves. Raises ModelUnusable.
    """
    name, _, revision = hub_id.partition("@")
    wanted = commit or revision or None
    try:
        return Path(
            DiffusionPipeline.download(
                name,
                revision=wanted,
                token=token,
                use_safetensors=True,
                **({} if with_checker else {"safety_checker": None}),  # None: not downloaded
            )
        )
    except (OSError, ValueError) as error:
        missing = f"{name} at {wanted}" if wanted else name
        raise ModelUnusable(
            f"The model {missing} is neither on this machine nor to be had from the hub "
            f"({_first(error)}). Check its name and revision, the network, and HF_TOKEN if the "
            "model asks for one."
        ) from error


def load_pipeline(folder: Path, dtype: torch.dtype) -> Pipeline:
    """The whole pipeline of a folder on the CPU; raises ModelUnusable.

    An SDXL folder that says `force_upcast` decodes in float32: in half its VAE overflows.
    """
    try:
        kind = StableDiffusionPipeline.load_config(str(folder)).get("_class_name")
        if kind not in FAMILIES:
            raise ModelUnusable(
                f"{folder} is a {kind}; LOOP Studio trains models of the kinds "
                f"{' and '.join(FAMILIES)}."
            )
        is_xl = kind == StableDiffusionXLPipeline.__name__
        family = StableDiffusionXLPipeline if is_xl else StableDiffusionPipeline
        pipeline: Pipeline = family.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,  # or diffusers reads pickled weights where it finds no other
            variant=variant(folder),
            **({"add_watermarker": False} if is_xl else {"safety_checker": None}),
        )
        if getattr(pipeline.vae.config, "latents_mean", None) is not None:
            raise ModelUnusable(
                f"{folder} has a VAE with latents_mean, which the studio does not decode; choose "
                "another model."
            )
        if is_xl and pipeline.vae.config.force_upcast:
            pipeline.vae.to(torch.float32)
        return pipeline
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelUnusable(
            f"The model {folder} could not be loaded as Stable Diffusion ({_first(error)}). "
            "Download it again, or make a project with another folder or hub id."
        ) from error


def attend_with(pipeline: Pipeline, attention: Attention) -> None:
    """Choose the attention kernels, after the pipeline is on its device; raises ModelUnusable.

    diffusers' newer `set_attention_backend` is of no use here: it passes over the attention of
    UNets in silence (0.42.1), and these use PyTorch's own kernels whatever it was told.
    """
    if attention == "auto":
        return
    try:
        pipeline.enable_xformers_memory_efficient_attention()
    except (ImportError, ValueError, RuntimeError, NotImplementedError) as error:
        raise ModelUnusable(
            f"LOOP_STUDIO_ATTENTION is {attention}, which cannot be used here ({_first(error)}). "
            "Unset it to use PyTorch's own attention, or install xformers where there is CUDA."
        ) from error


def conditioner_of(pipeline: Pipeline) -> TextEncoder:
    """The texts' way into the pipeline's UNet, with its text encoders where they are now."""
    unet, one = pipeline.unet, (pipeline.tokenizer, pipeline.text_encoder)
    if isinstance(pipeline, StableDiffusionPipeline):
        return TextEncoder(*one, unet.dtype)
    size = unet.config.sample_size
    height, width = (size, size) if isinstance(size, int) else size
    return TwoTextEncoders(
        one,
        (pipeline.tokenizer_2, pipeline.text_encoder_2),
        unet.dtype,
        pixels=(height * pipeline.vae_scale_factor, width * pipeline.vae_scale_factor),
        zero_negative=pipeline.config.force_zeros_for_empty_prompt,
    )


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
