"""The density of one denoising step: an isotropic Gaussian around a guided mean."""

from __future__ import annotations

import math

from torch import Tensor


def log_prob(next_latents: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Log density of the next latents, **mean** over the D elements; (B, ...) -> (B,).

    The mean instead of the sum is DDPO's convention (Black et al. 2023, ddpo-pytorch); multiply
    by D for true nats. `std` is (B,) and must be positive.
    """
    std = _over(std, mean)
    density = -((next_latents - mean) ** 2) / (2 * std**2) - std.log() - math.log(2 * math.pi) / 2
    return density.flatten(1).mean(1)


def kl_divergence(mean: Tensor, other_mean: Tensor, std: Tensor) -> Tensor:
    """KL between two steps that share `std`, in **true nats**; (B, ...) -> (B,).

    |mean - other_mean|^2 / (2 std^2), summed over the D elements: closed form, no samples.
    """
    return ((mean - other_mean) ** 2).flatten(1).sum(1) / (2 * std**2)


def _over(std: Tensor, latents: Tensor) -> Tensor:
    return std.view(-1, *[1] * (latents.dim() - 1))
