"""Does a stored trajectory replay under the version that made it? Ratio 1 is a fact, not a hope.

A late group's ratio under *today's* weights differs from 1: that is staleness, another thing, which
is reported and never refused.
"""

from __future__ import annotations

import torch
from torch import Tensor

from loop_studio.rl.gaussian import kl_divergence, log_prob
from loop_studio.rl.types import Policy, Trajectories, Transitions, Weights

TOLERANCE = 1e-6  # per element; CPU kernels differ by one ulp across batch shapes
CLIP_SHARE = 0.05


def replay_deviation(
    policy: Policy, trajectories: Trajectories, weights: Weights, *, step: int
) -> float:
    """Largest |log ratio| per element of stored step `step`, replayed in the rollout's own shape.

    Exactly 0 under the weights, dtype and device of the rollout.
    """
    mean, std = _replay(policy, trajectories, weights, step)
    replayed = log_prob(trajectories.latents[:, step + 1].to(mean.device), mean, std).cpu()
    return (replayed - trajectories.log_probs[:, step]).abs().max().item()


def staleness(policy: Policy, trajectories: Trajectories, weights: Weights, *, step: int) -> float:
    """KL from the version that made a group to the learner of now, at one stored step.

    True nats, mean over the group's images.
    """
    mean, std = _replay(policy, trajectories, weights, step)
    now, _ = _replay(policy, trajectories, "learner", step)
    return kl_divergence(mean, now, std).mean().item()


def tolerance(clip_range: float) -> float:
    """Deviation above which a group is excluded from its update."""
    return max(TOLERANCE, CLIP_SHARE * clip_range)


def _replay(
    policy: Policy, trajectories: Trajectories, weights: Weights, step: int
) -> tuple[Tensor, Tensor]:
    k = trajectories.group_size
    device = policy.parameters()[0].device
    transitions = Transitions(
        prompts=(trajectories.prompt,) * k,
        sampler=trajectories.sampler,
        latents=trajectories.latents[:, step].to(device),
        timesteps=trajectories.timesteps[step].expand(k).to(device),
    )
    with torch.no_grad():
        return policy.transition(transitions, weights)
