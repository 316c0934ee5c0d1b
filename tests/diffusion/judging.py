"""Groups of a tiny model with judgements that mean nothing but are not zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loop_studio.diffusion.policy import Rollout, StableDiffusionPolicy
from loop_studio.rl.types import JudgedGroup, Sampler, Weights
from loop_studio.rl.update import LoopConfig, train

SAMPLER = Sampler(num_inference_steps=4, guidance_scale=3.0, eta=1.0)


def one_group(
    policy: StableDiffusionPolicy,
    prompt: str,
    seeds: Sequence[int],
    sampler: Sampler,
    *,
    drawn_steps: int | None = None,
    weights: Weights = "live",
) -> Rollout:
    """A group made alone."""
    (made,) = policy.rollouts([prompt], [seeds], sampler, drawn_steps=drawn_steps, weights=weights)
    return made


def rolled_out(
    policy: StableDiffusionPolicy,
    count: int = 2,
    *,
    k: int = 4,
    sampler: Sampler = SAMPLER,
) -> list[JudgedGroup]:
    """`count` groups made by the live weights, in each of which the first image is the best."""
    groups = []
    for number in range(count):
        seeds = range(10 * number, 10 * number + k)
        rollout = one_group(policy, f"prompt {number}", list(seeds), sampler)
        pushes = torch.tensor([[1 - 1 / k] + [-1 / k] * (k - 1)], dtype=torch.float64)
        groups.append(
            JudgedGroup(f"group {number}", rollout.trajectories, pushes, torch.tensor([k]))
        )
    return groups


def update(
    policy: StableDiffusionPolicy,
    groups: list[JudgedGroup],
    config: LoopConfig = LoopConfig(),  # noqa: B008  # frozen
    *,
    optimizer: torch.optim.Optimizer | None = None,
    seed: int = 0,
) -> dict[str, Tensor]:
    """A whole update; returns what the learner has become."""
    optimizer = optimizer or adamw(policy)
    for _ in train(policy, optimizer, groups, config, seed=seed):
        pass
    return policy.adapters.state("learner")


def adamw(policy: StableDiffusionPolicy, learning_rate: float = 5e-3) -> torch.optim.AdamW:
    return torch.optim.AdamW(policy.parameters(), lr=learning_rate, weight_decay=0.0)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def same_rollouts(first: Rollout, second: Rollout) -> bool:
    """Bit for bit: pictures, latents and log_probs."""
    one, other = first.trajectories, second.trajectories
    return (
        bool((first.images == second.images).all())
        and torch.equal(one.latents, other.latents)
        and torch.equal(one.log_probs, other.log_probs)
        and torch.equal(one.trained, other.trained)
    )


def largest_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> int:
    return int(np.abs(first.astype(int) - second.astype(int)).max())
