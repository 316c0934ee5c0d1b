"""A policy whose every number can be checked by hand: a Gaussian walk of a few steps, float64."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from loop_studio.rl.types import JudgedGroup, Sampler, Trajectories, Transitions, Weights

SAMPLER = Sampler(num_inference_steps=2, guidance_scale=1.0, eta=1.0)


class Walk:
    """x' ~ N(x + drift_t + bend_t tanh(x), std_t^2), timesteps T - 1 down to 0."""

    def __init__(self, elements: int = 3, stds: Sequence[float] = (0.7, 0.4), seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        shape = (2, len(stds), 1, 1, elements)  # drift and bend of each step
        self.std = torch.tensor(stds, dtype=torch.float64)
        self.live = torch.randn(shape, generator=generator, dtype=torch.float64) * 0.3
        self.base = torch.zeros(shape, dtype=torch.float64)
        self.learner = torch.nn.Parameter(self.live.clone())

    def parameters(self) -> list[torch.nn.Parameter]:
        return [self.learner]

    def transition(self, transitions: Transitions, weights: Weights) -> tuple[Tensor, Tensor]:
        drift, bend = getattr(self, weights)[:, transitions.timesteps]
        x = transitions.latents
        return x + drift + bend * x.tanh(), self.std[transitions.timesteps]

    def move(self, size: float, seed: int) -> None:
        """Take the learner away from the live weights, as optimizer steps would."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.learner.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            self.learner.add_(size * noise)

    def trajectories(self, k: int, seed: int, prompt: str = "a walk") -> Trajectories:
        """k walks under the live weights; log_probs come from torch.distributions."""
        generator = torch.Generator().manual_seed(seed)
        timesteps = torch.arange(len(self.std)).flip(0)
        shape = (k, *self.learner.shape[2:])
        path = [torch.randn(shape, generator=generator, dtype=torch.float64)]
        log_probs = []
        for t in timesteps:
            here = Transitions((prompt,) * k, SAMPLER, path[-1], t.expand(k))
            mean, std = self.transition(here, "live")
            noise = torch.randn(shape, generator=generator, dtype=torch.float64)
            path.append(mean + std.view(-1, 1, 1, 1) * noise)
            normal = torch.distributions.Normal(mean, std.view(-1, 1, 1, 1))
            log_probs.append(normal.log_prob(path[-1]).flatten(1).mean(1))
        return Trajectories(
            prompt=prompt,
            sampler=SAMPLER,
            latents=torch.stack(path, 1),
            log_probs=torch.stack(log_probs, 1),
            timesteps=timesteps,
            trained=torch.ones(k, len(timesteps), dtype=torch.bool),
        )


def judged(
    trajectories: Trajectories,
    advantages: Sequence[Sequence[float]],
    members: Sequence[int] | None = None,
    name: str = "group",
) -> JudgedGroup:
    """A group with one row of advantages per judgement; `members` defaults to all of it."""
    counts = members or [trajectories.group_size] * len(advantages)
    return JudgedGroup(
        name,
        trajectories,
        torch.tensor(advantages, dtype=torch.float64).reshape(-1, trajectories.group_size),
        torch.tensor(counts, dtype=torch.int64),
    )


def simple_groups(walk: Walk, count: int, seed: int = 0) -> list[JudgedGroup]:
    """Groups of four with one chosen image each."""
    return [
        judged(walk.trajectories(4, seed=100 * seed + n), [[0.75, -0.25, -0.25, -0.25]])
        for n in range(count)
    ]


def moved_walk(size: float = 0.25) -> Walk:
    walk = Walk()
    walk.move(size, seed=9)
    return walk
