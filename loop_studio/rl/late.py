"""Late groups: made by an older version than the one that an update starts from.

Under today's weights their ratio differs from 1 before the first step, so PPO's clip, which is
meant to bound one update, is spent on what other updates did. Four ways to treat them; with no
late group all are the same update, bit for bit:

    stored      the clip around the version that made the group (plain PPO)
    reanchored  the clip around the update's own start, and no weight: a control, biased
    decoupled   the same, times a truncated importance weight of the start against the maker
    gated       decoupled, without the steps that moved further than `LateRatings.gate` nats

Source: decoupled PPO (Hilton et al. 2022), truncated weights (Espeholt et al. 2018, V-trace).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from loop_studio.rl.batch import Batch, micro_batches, split_rows
from loop_studio.rl.gaussian import log_prob
from loop_studio.rl.types import Policy

Treatment = Literal["stored", "reanchored", "decoupled", "gated"]


@dataclass(frozen=True)
class LateRatings:
    """How late groups teach."""

    treatment: Treatment = "stored"
    w_max: float = 2.0  # importance weights are cut off here
    gate: float = 2.0  # nats per step


def treat(
    policy: Policy, batches: list[Batch], late: Sequence[int], how: LateRatings, size: int
) -> Iterator[int]:
    """Move the clip of `late` groups to the learner's weights of now, and weigh them, in place.

    Yields the rows of every micro-batch.
    """
    made = [batches[g] for g in late]
    found = []
    for micro in micro_batches(made, size):
        micro = micro.to(policy.parameters()[0].device)
        with torch.no_grad():
            mean, std = policy.transition(micro.transitions, "learner")
        found.append(log_prob(micro.next_latents, mean, std).to(made[0].latents.device))
        yield len(micro)
    now = split_rows(torch.cat(found), made)
    nats = [
        (anchor - batch.old_log_probs).double() * batch.latents[0].numel()
        for anchor, batch in zip(now, made, strict=True)
    ]
    weights = weigh(nats, [batch.timesteps for batch in made], how)
    for n, (g, weight) in enumerate(zip(late, weights, strict=True)):
        up, down = made[n].up * weight.float(), made[n].down * weight.float()
        batches[g] = replace(made[n], old_log_probs=now[n], up=up, down=down)


def weigh(nats: Sequence[Tensor], timesteps: Sequence[Tensor], how: LateRatings) -> list[Tensor]:
    """Weights (N,) of each late group's rows, given log(start / maker) in true nats, (N,) each.

    exp(nats) cut off at `w_max`, then divided by its mean over all late rows of the same denoising
    step, so that late groups together keep their influence. A gated step counts nothing: one whose
    KL to the maker, estimated as the mean of -nats over its group's images, exceeds the gate.
    """
    if how.treatment == "reanchored":
        return [torch.ones_like(own) for own in nats]
    cut = [own.exp().clamp(max=how.w_max) for own in nats]
    if how.treatment == "gated":
        cut = [
            weight * (_mean_of_step(-own, steps) <= how.gate)
            for weight, own, steps in zip(cut, nats, timesteps, strict=True)
        ]
    means = _mean_of_step(torch.cat(cut), torch.cat(list(timesteps)))
    shares = torch.cat(cut) / means.where(means > 0, torch.ones_like(means))
    return list(shares.split([len(own) for own in nats]))


def _mean_of_step(values: Tensor, timesteps: Tensor) -> Tensor:
    """The mean of `values` (N,) over the rows of the same denoising step, in each row (N,)."""
    steps, row_of = timesteps.unique(return_inverse=True)
    sums = torch.zeros(len(steps), dtype=values.dtype).index_add(0, row_of, values)
    means: Tensor = sums / row_of.bincount(minlength=len(steps))
    return means[row_of]
