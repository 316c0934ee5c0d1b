"""Does a stored trajectory replay under the version that made it? Ratio 1 is a fact, not a hope.

A late group's ratio under *today's* weights differs from 1: that is staleness, another thing.
"""

from __future__ import annotations

import torch

from loop_studio.rl.gaussian import log_prob
from loop_studio.rl.types import Policy, Trajectories, Transitions, Weights

TOLERANCE = 1e-6  # per element; CPU kernels differ by one ulp across batch shapes
CLIP_SHARE = 0.05


def replay_deviation(
    policy: Policy, trajectories: Trajectories, weights: Weights, *, step: int
) -> float:
    """Largest |log ratio| per element of stored step `step`, replayed in the rollout's own shape.

    Exactly 0 under the weights, dtype and device of the rollout.
    """
    k = trajectories.group_size
    device = policy.parameters()[0].device
    transitions = Transitions(
        prompts=(trajectories.prompt,) * k,
        sampler=trajectories.sampler,
        latents=trajectories.latents[:, step].to(device),
        timesteps=trajectories.timesteps[step].expand(k).to(device),
    )
    with torch.no_grad():
        mean, std = policy.transition(transitions, weights)
    replayed = log_prob(trajectories.latents[:, step + 1].to(device), mean, std).cpu()
    return (replayed - trajectories.log_probs[:, step]).abs().max().item()


def tolerance(clip_range: float) -> float:
    """Deviation above which a group is excluded from its update."""
    return max(TOLERANCE, CLIP_SHARE * clip_range)
