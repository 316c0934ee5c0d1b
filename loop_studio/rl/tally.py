"""What one optimizer step measures, summed over its micro-batches: true nats, per denoising step.

The effective sample size is that of the importance weights exp(log ratio in nats), as a share of
the transitions: 1 while the learner equals the weights that sampled, 1 / N when one transition
stands for all.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from loop_studio.rl.batch import Batch
from loop_studio.rl.objective import clipped
from loop_studio.rl.types import JudgedGroup

KL_TO_BASE = "policy/kl_to_base"  # of a version: the next update brakes by it
LARGEST_NATS = 80.0  # of one weight: its square still is a number


def advantage_spread(groups: Sequence[JudgedGroup]) -> float:
    """Root mean square of the advantages of all groups' images, one per judgement of each."""
    every = torch.cat([group.advantages.flatten() for group in groups])
    return every.square().mean().sqrt().item()


@dataclass
class OfTimestep:
    """Sums over the transitions of one denoising step."""

    rows: int = 0
    log_ratio_nats: float = 0.0  # of absolute values
    kl_to_base: float = 0.0

    def add(self, log_ratio_nats: float, kl_to_base: float, rows: int = 1) -> None:
        """Another transition, or as many as `rows`."""
        self.rows += rows
        self.log_ratio_nats += log_ratio_nats
        self.kl_to_base += kl_to_base


@dataclass
class Tally:
    """Sums over the transitions of a minibatch."""

    rows: int = 0
    loss: float = 0.0
    pushed: int = 0  # transitions with an advantage
    clipped: int = 0
    weights: float = 0.0
    squares: float = 0.0
    timesteps: dict[int, OfTimestep] = field(default_factory=lambda: defaultdict(OfTimestep))

    def clear(self) -> None:
        """Forget all of it: the minibatch is begun, perhaps again, in smaller micro-batches."""
        vars(self).update(vars(Tally()))

    def add(self, micro: Batch, ratio: Tensor, nats: Tensor, kl: Tensor, c: float) -> None:
        """A micro-batch: ratios (N,), log ratios and KL to the base in nats (N,), clip range."""
        self.rows += len(micro)
        self.pushed += int(((micro.up != 0) | (micro.down != 0)).sum().item())
        self.clipped += int(clipped(ratio, micro.up, micro.down, c).sum().item())
        weights = nats.clamp(max=LARGEST_NATS).exp()
        self.weights += weights.sum().item()
        self.squares += weights.square().sum().item()
        steps = (micro.timesteps.tolist(), nats.abs().tolist(), kl.tolist())
        for timestep, moved, distance in zip(*steps, strict=True):
            self.timesteps[timestep].add(moved, distance)

    def metrics(self, norm: float) -> dict[str, float]:
        """Means over transitions; nothing of a step that was skipped."""
        if not math.isfinite(norm):
            return {}
        sums = self.timesteps.values()
        return {
            "policy/log_ratio_nats": sum(step.log_ratio_nats for step in sums) / self.rows,
            KL_TO_BASE: sum(step.kl_to_base for step in sums) / self.rows,
            "policy/clip_fraction": self.clipped / self.pushed,  # of rows with an advantage
            "policy/effective_sample_size": self.weights**2 / (self.rows * self.squares),
            "policy/loss": self.loss,
            "policy/grad_norm": norm,
        }
