"""The starter's UNet, trained by v-prediction on stored latents, and its text encoder."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from loop_studio.starter.paths import replace_folder
from loop_studio.starter.training import StepLoss
from loop_studio.starter.words import write_words

BATCH = 32
EMPTY_CAPTIONS = 0.1  # share, for classifier-free guidance
BACKGROUND_SETTLED = 800  # timestep below which the noise does not hide the background
EXTRA_DARK = 0.35  # share of the rows below it that is drawn from dark pictures alone


@dataclass(frozen=True)
class Widths:
    """Sizes of the denoiser; the defaults are the starter's, tests use a miniature."""

    unet: tuple[int, int, int] = (64, 96, 128)
    layers_per_block: int = 1
    heads: int = 4
    text: int = 128
    text_layers: int = 3


def build_unet(text_width: int, widths: Widths = Widths()) -> UNet2DConditionModel:  # frozen
    """An untrained UNet with cross-attention at its two inner levels."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=widths.unet,
        layers_per_block=widths.layers_per_block,
        norm_num_groups=8 if min(widths.unet) % 32 else 32,
        cross_attention_dim=text_width,
        attention_head_dim=widths.heads,
    )


def build_text_encoder(tokenizer: CLIPTokenizer, widths: Widths = Widths()) -> CLIPTextModel:
    """An untrained text encoder for the captions' tokenizer."""
    return CLIPTextModel(text_config(tokenizer, widths.text, widths.text_layers))


def text_config(tokenizer: CLIPTokenizer, width: int, layers: int) -> CLIPTextConfig:
    """One shape for denoiser and scorer: the scorer starts from the encoder that has read."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def sd_noise_scheduler() -> DDIMScheduler:
    """Stable Diffusion's betas and spacing, with v-prediction."""
    return DDIMScheduler(
        **BETAS,
        prediction_type="v_prediction",
        timestep_spacing="leading",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
    )


def zero_snr_noise_scheduler() -> DDIMScheduler:
    """The same betas rescaled, so that the first step of sampling is pure noise in training too.

    Unscaled, training never shows noise without a trace of the picture's brightness and sampling
    begins with nothing else, which makes all pictures equally light: backgrounds are dark in 18 %
    of the scenes and were in 5 % of the samples. Source: Lin et al. 2023 (arXiv 2305.08891).
    """
    return DDIMScheduler(
        **BETAS,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )


def tokenise(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """Token ids (B, L), padded to the model's length as the pipeline does."""
    ids: Tensor = tokenizer(
        captions,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return ids


@dataclass(frozen=True)
class Latents:
    """A training set, encoded once."""

    latents: np.ndarray  # (N, 4, 16, 16) float16
    tokens: Tensor  # (N, L)
    empty_tokens: Tensor  # (1, L)
    dark: Tensor  # rows with a dark background, ascending


def denoising_loss(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    data: Latents,
    noise_scheduler: DDIMScheduler,
) -> StepLoss:
    """Mean squared error of the velocity.

    Dark backgrounds are few, so things on them came out worse. They are shown more often where
    the noise no longer hides which kind it is, so that their share of the samples stays.
    """
    alphas_cumprod = noise_scheduler.alphas_cumprod

    def loss_of(_step: int, generator: torch.Generator) -> Tensor:
        timesteps = sample_timesteps(BATCH, len(alphas_cumprod), generator)
        rows = torch.randint(len(data.latents), (BATCH,), generator=generator)
        extra = data.dark[torch.randint(len(data.dark), (BATCH,), generator=generator)]
        swapped = torch.rand(BATCH, generator=generator) < EXTRA_DARK
        rows = torch.where(swapped & (timesteps < BACKGROUND_SETTLED), extra, rows)
        latents = torch.from_numpy(data.latents[rows.numpy()]).float()
        noise = torch.randn(latents.shape, generator=generator)
        tokens = data.tokens[rows]
        dropped = torch.rand(BATCH, generator=generator) < EMPTY_CAPTIONS
        tokens = torch.where(dropped[:, None], data.empty_tokens, tokens)
        with torch.no_grad():
            prompt_embeds = text_encoder(tokens).last_hidden_state
        signal = alphas_cumprod[timesteps].sqrt().view(-1, 1, 1, 1)
        sigma = (1 - alphas_cumprod[timesteps]).sqrt().view(-1, 1, 1, 1)
        velocity = unet(signal * latents + sigma * noise, timesteps, prompt_embeds).sample
        return nn.functional.mse_loss(velocity, signal * noise - sigma * latents)

    return loss_of


def sample_timesteps(count: int, num_train_timesteps: int, generator: torch.Generator) -> Tensor:
    """Timesteps (count,), one in each of as many intervals, which lowers the loss's variance.

    The middle, where shapes and colours are decided, is drawn twice as often as on even terms.
    """
    even = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    denser = even + 0.5 * torch.sin(2 * math.pi * even) / (2 * math.pi)
    return (denser * num_train_timesteps).long().clamp(0, num_train_timesteps - 1)


def export_pipeline(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    noise_scheduler: DDIMScheduler,
    words: list[str],
    folder: Path,
) -> None:
    """Writes a float16 StableDiffusionPipeline folder; readers see the old one or the new one."""
    pipeline = StableDiffusionPipeline(
        unet=unet.half(),
        vae=vae.half(),
        text_encoder=text_encoder.half(),
        tokenizer=tokenizer,
        scheduler=noise_scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    partial = folder.with_name(folder.name + ".partial")
    pipeline.save_pretrained(partial)
    _edit_config(partial / "text_encoder" / "config.json", {"dtype": "float32"})
    _edit_config(partial / "vae" / "config.json", {})
    write_words(words, partial)
    replace_folder(partial, folder)


def _edit_config(config_file: Path, changes: dict[str, str]) -> None:
    """Forgets where the part was loaded from, and makes changes.

    A text encoder called float32 loads in the type of the other parts: transformers loads in the
    type that the configuration names, diffusers in float32.
    """
    config = json.loads(config_file.read_text())
    config.pop("_name_or_path", None)
    config_file.write_text(json.dumps(config | changes, indent=2) + "\n")
