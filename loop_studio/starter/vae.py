"""The starter's autoencoder: 64x64 RGB to 16x16x4 latents and back."""

from __future__ import annotations

import math

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from loop_studio.starter.scenes import dark_rows
from loop_studio.starter.training import StepLoss

BATCH = 16
EDGE_WEIGHT = 0.25
# On the mean colour of 4x4 pixels: without it the few latents first all serve brightness.
COLOUR_WEIGHT = 4.0
# Standard deviation of the noise on latents in training, in units of each channel's own. It takes
# the place of a KL term: with one, colour was still missing after 800 steps (channels of little
# use yet drown in the noise they are allowed). Also how a denoiser leaves latents.
LATENT_NOISE = 0.05


def build_vae(widths: tuple[int, int, int] = (16, 32, 64)) -> AutoencoderKL:
    """An untrained autoencoder with f=4 and 4 latent channels."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=64,
        scaling_factor=1.0,  # true once `normalise_latents` has run
    )


def to_tensor(pictures: np.ndarray) -> Tensor:
    """Pictures (B, 64, 64, 3) uint8 to (B, 3, 64, 64) in [-1, 1]."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def vae_loss(vae: AutoencoderKL, pictures: np.ndarray) -> StepLoss:
    """The loss of one step on pictures (N, 64, 64, 3) uint8."""

    def loss_of(_step: int, generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(pictures), (BATCH,), generator=generator).numpy()
        target = to_tensor(pictures[rows]).contiguous(memory_format=torch.channels_last)
        latents = vae.encode(target).latent_dist.mean
        noise = torch.randn(latents.shape, generator=generator)
        spread = LATENT_NOISE * latents.detach().std((0, 2, 3), keepdim=True)
        return reconstruction_loss(vae.decode(latents + spread * noise).sample, target)

    return loss_of


def decoder_loss(vae: AutoencoderKL, latents: np.ndarray, pictures: np.ndarray) -> StepLoss:
    """The loss of one step of the decoder alone, on finished latents (N, 4, 16, 16) float16.

    Half of each batch has a dark background. With as few as the scenes have, red on black came
    back orange and small things blurred, and raters who like dark pictures taught wrong colours.
    """
    dark = dark_rows(pictures)
    kinds = [dark, np.setdiff1d(np.arange(len(pictures)), dark)]

    def loss_of(_step: int, generator: torch.Generator) -> Tensor:
        drawn = [torch.randint(len(kind), (BATCH // 2,), generator=generator) for kind in kinds]
        rows = np.concatenate([kind[d.numpy()] for kind, d in zip(kinds, drawn, strict=True)])
        stored = torch.from_numpy(latents[rows]).float()
        noise = torch.randn(stored.shape, generator=generator)
        target = to_tensor(pictures[rows]).contiguous(memory_format=torch.channels_last)
        return reconstruction_loss(vae.decode(stored + LATENT_NOISE * noise).sample, target)

    return loss_of


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 on values, L1 on differences to the next pixel (sharp edges), squares on mean colours."""
    error = output - target
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    colour = nn.functional.avg_pool2d(error, 4).square().mean()
    return error.abs().mean() + EDGE_WEIGHT * edges + COLOUR_WEIGHT * colour


@torch.no_grad()
def encode_all(vae: AutoencoderKL, pictures: np.ndarray, batch: int = 64) -> np.ndarray:
    """Latents of pictures: the posterior's means, float16 (N, 4, 16, 16)."""
    starts = range(0, len(pictures), batch)
    parts = [
        vae.encode(to_tensor(pictures[start : start + batch])).latent_dist.mean.half().numpy()
        for start in starts
    ]
    return np.concatenate(parts)


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, pictures: np.ndarray) -> None:
    """Folds a shift and a scale per channel into the 1x1 convolutions around the latents.

    Afterwards every latent channel has mean 0 and standard deviation 1 on `pictures`, and
    reconstructions are unchanged, so that `scaling_factor` is 1. The posterior's standard
    deviation becomes `LATENT_NOISE` everywhere, as in training.
    """
    means = encode_all(vae, pictures)
    shift = torch.from_numpy(means.astype(np.float32).mean((0, 2, 3)))
    scale = torch.from_numpy(means.astype(np.float32).std((0, 2, 3)))
    inward, outward = vae.quant_conv, vae.post_quant_conv
    assert isinstance(inward, nn.Conv2d)
    assert isinstance(outward, nn.Conv2d)
    assert inward.bias is not None
    assert outward.bias is not None
    channels = len(scale)
    inward.weight[:channels] /= scale[:, None, None, None]
    inward.bias[:channels] = (inward.bias[:channels] - shift) / scale
    inward.weight[channels:] = 0.0  # the second half is the log-variance
    inward.bias[channels:] = 2 * math.log(LATENT_NOISE)
    outward.bias += outward.weight[:, :, 0, 0] @ shift
    outward.weight *= scale[None, :, None, None]
