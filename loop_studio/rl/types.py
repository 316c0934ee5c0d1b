"""The data that flows through an update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

Weights = Literal["base", "live", "learner", "archive"]
"""Which weights answer: the frozen base, what is served, what learns, or any older version."""

GuidanceGradient = Literal["both", "conditional"]
"""Through which branches of classifier-free guidance the gradient goes."""


@dataclass(frozen=True)
class Sampler:
    """How a trajectory was sampled; the same for all images of a group."""

    num_inference_steps: int
    guidance_scale: float
    eta: float
    lora_steps: int | None = None  # leading steps in which the LoRA acts; None: in all of them


@dataclass(frozen=True)
class Trajectories:
    """The stored denoising steps of one group.

    Consecutive steps share a latent, so x_t is stored once: step s goes from `latents[:, s]` to
    `latents[:, s + 1]`. float32 throughout, the very numbers that `log_probs` was computed on.
    """

    prompt: str
    sampler: Sampler
    latents: Tensor  # (k, S + 1, C, H, W) float32
    log_probs: Tensor  # (k, S) float32, mean over the D elements, under the group's own version
    timesteps: Tensor  # (S,) int64
    trained: Tensor  # (k, S) bool, drawn before any reward

    @property
    def group_size(self) -> int:
        """k."""
        return self.latents.shape[0]


@dataclass(frozen=True)
class JudgedGroup:
    """A claimed group: its trajectories and the advantages of each of its judgements."""

    id: str
    trajectories: Trajectories
    advantages: Tensor  # (J, k) float64, times the source's weight; 0 where not judged
    members: Tensor  # (J,) int64, m_j: images that judgement j covers
    step_weights: Tensor | None = None  # (S,) of each step in an image's mean; None: alike
    lag: int = 0  # updates between its version and the one that this update starts from

    def pushes(self) -> tuple[Tensor, Tensor]:
        """Sum over judgements of A_ij / (J m_j), upward and downward parts apart: (k,), (k,).

        All judgements of one image share its ratio, and min(rho A, clip(rho) A) is linear in A
        on either side of zero; so two numbers per image carry the whole sum over j exactly.
        """
        if self.advantages.shape[0] == 0:
            zeros = torch.zeros(self.trajectories.group_size, dtype=torch.float64)
            return zeros, zeros
        share = self.advantages / (self.advantages.shape[0] * self.members[:, None])
        return share.clamp(min=0).sum(0), share.clamp(max=0).sum(0)

    def step_shares(self) -> Tensor:
        """What each trained step counts in its image's mean, (k, S) float64; rows sum to 1.

        1 / |T_i| each, unless the steps are weighted.
        """
        counts = self.trajectories.trained.double()
        if self.step_weights is not None:
            counts = counts * self.step_weights.double()
        return counts / counts.sum(1, keepdim=True).clamp(min=1e-12)


@dataclass(frozen=True)
class Transitions:
    """B denoising steps, of any images and steps of groups sampled alike."""

    prompts: tuple[str, ...]  # B
    sampler: Sampler
    latents: Tensor  # (B, C, H, W) float32
    timesteps: Tensor  # (B,) int64
    guidance_gradient: GuidanceGradient = "both"


class Policy(Protocol):
    """The denoiser with its LoRA as a distribution over next latents: the seam to a model."""

    def parameters(self) -> Sequence[torch.nn.Parameter]:
        """The learner's trainable parameters."""
        ...

    def transition(self, transitions: Transitions, weights: Weights) -> tuple[Tensor, Tensor]:
        """Mean (B, C, H, W) and standard deviation (B,) of p(next latents | latents), float32."""
        ...
