"""The DDIM transition with eta > 0, built from a model folder's noise schedule.

Both DDIM's mean and its inputs are linear: mean = a x_t + b model_output. The two coefficients
and the standard deviation of each step are worked out once, in float64; rollout and replay then
share one multiply-add, whatever noise scheduler the folder names (SD 2 ships PNDM, SDXL Euler).
Source: Song et al. 2021 (DDIM), eq. 12 and 16; diffusers' scheduling_ddim.py for the grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from loop_studio.errors import ModelUnusable
from loop_studio.rl.types import Sampler

SIGMA_FLOOR = 0.05
"""Steps with a smaller standard deviation are sampled but neither stored nor trained: the last
step of 20 (51 -> 1) alone would have about 30 times the KL of the others."""


@dataclass(frozen=True)
class Steps:
    """The T denoising steps of one sampler, first (noisiest) to last."""

    timesteps: Tensor  # (T,) int64
    sample_coefficient: Tensor  # (T,) float32, a in mean = a x_t + b model_output
    output_coefficient: Tensor  # (T,) float32, b
    std: Tensor  # (T,) float32

    @property
    def stored(self) -> int:
        """How many leading steps may be stored and trained: those at or above the floor."""
        below = (self.std < SIGMA_FLOOR).nonzero()
        return int(below[0]) if len(below) else len(self.std)

    @property
    def noise_weights(self) -> Tensor:
        """(T,) std over |b|: the score of every step is then as large in the model's output.

        The score of a step is b (x' - mean) / std^2. For models that predict epsilon its size
        b / std hardly differs from step to step; for v-prediction it grows, on the starter
        fifteen-fold over the first twelve of twenty steps, and late steps drown the early ones.
        Compare the noise-aware weighting of TempFlow-GRPO (He et al. 2025).
        """
        return self.std / self.output_coefficient.abs()

    def to(self, device: torch.device) -> Steps:
        """The same on `device`."""
        return Steps(**{name: value.to(device) for name, value in vars(self).items()})

    def index(self, timesteps: Tensor) -> Tensor:
        """Positions (B,) of given timesteps (B,) in this grid."""
        return (self.timesteps.to(timesteps.device)[None] == timesteps[:, None]).int().argmax(1)


class NoiseSchedule:
    """The betas of a model folder, and the grid of steps that any sampler makes of them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Read a folder's scheduler config; raises ModelUnusable for what cannot be replayed."""
        _refuse(config)
        self.prediction_type: str = config.get("prediction_type", "epsilon")
        self.config = {**config, "clip_sample": False, "thresholding": False}

    def steps(self, sampler: Sampler) -> Steps:
        """Coefficients of every step, in float64 until the end."""
        scheduler = DDIMScheduler.from_config(self.config)
        count = scheduler.config.num_train_timesteps
        if sampler.num_inference_steps > count:
            raise ModelUnusable(f"This model was trained on {count} steps; ask for fewer.")
        scheduler.set_timesteps(sampler.num_inference_steps)
        timesteps = scheduler.timesteps.long()
        previous = timesteps - count // sampler.num_inference_steps
        alphas = scheduler.alphas_cumprod.double()
        alpha = alphas[timesteps]
        alpha_next = torch.where(
            previous >= 0, alphas[previous.clamp(min=0)], scheduler.final_alpha_cumprod.double()
        )
        variance = (1 - alpha_next) / (1 - alpha) * (1 - alpha / alpha_next)
        std = sampler.eta * variance.clamp(min=0).sqrt()
        direction = (1 - alpha_next - std**2).clamp(min=0).sqrt()
        if self.prediction_type == "v_prediction":
            a = (alpha_next * alpha).sqrt() + direction * (1 - alpha).sqrt()
            b = direction * alpha.sqrt() - (alpha_next * (1 - alpha)).sqrt()
        else:
            a = (alpha_next / alpha).sqrt()
            b = direction - (alpha_next * (1 - alpha) / alpha).sqrt()
        return Steps(timesteps, a.float(), b.float(), std.float())


def guided(unconditional: Tensor, conditional: Tensor, guidance_scale: float) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022): the only place that knows its formula."""
    return unconditional + guidance_scale * (conditional - unconditional)


def step_mean(steps: Steps, index: Tensor, latents: Tensor, model_output: Tensor) -> Tensor:
    """Mean of the next latents; `index` (B,) picks each row's step; latents (B, C, H, W)."""
    a = steps.sample_coefficient[index].view(-1, 1, 1, 1)
    b = steps.output_coefficient[index].view(-1, 1, 1, 1)
    return a * latents + b * model_output


def trained_mask(available: int, seeds: Sequence[int], drawn: int | None) -> Tensor:
    """Which of the `available` steps are trained: (k, available) bool, drawn before any reward.

    All of them; or `drawn` per trajectory, from a generator of that trajectory's own seed.
    """
    if drawn is None:
        return torch.ones(len(seeds), available, dtype=torch.bool)
    mask = torch.zeros(len(seeds), available, dtype=torch.bool)
    for row, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed ^ 0x5EED)
        mask[row, torch.randperm(available, generator=generator)[:drawn]] = True
    return mask


def _refuse(config: Mapping[str, Any]) -> None:
    for name in ("thresholding", "clip_sample"):
        if config.get(name):
            raise ModelUnusable(
                f"This model's noise scheduler sets {name}, which hides the density of a step. "
                f"Set {name} to false in scheduler/scheduler_config.json, or choose another model."
            )
    if str(config.get("_class_name")).startswith("EDM"):
        raise ModelUnusable(
            "This model's noise schedule is EDM's; the studio trains models with the betas of DDPM."
        )
    kind = config.get("prediction_type", "epsilon")
    if kind not in {"epsilon", "v_prediction"}:
        raise ModelUnusable(
            f"This model predicts {kind!r}; the studio trains epsilon and v_prediction models."
        )
    if kind == "epsilon" and config.get("rescale_betas_zero_snr"):
        raise ModelUnusable(
            "This model's schedule starts from pure noise (rescale_betas_zero_snr), where a model "
            "that predicts epsilon says nothing about the picture. Set rescale_betas_zero_snr to "
            "false in scheduler/scheduler_config.json, or choose another model."
        )
