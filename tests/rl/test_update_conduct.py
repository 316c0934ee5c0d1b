"""How an update goes about its work: yields, randomness, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from loop_studio.rl.update import LoopConfig, Progress, train
from tests.rl.walk import judged, moved_walk, simple_groups


def test_an_update_yields_after_every_micro_batch_and_counts_them_all() -> None:
    walk = moved_walk(0.0)
    config = LoopConfig(passes=2, minibatches=2, kl_weight=0.1, micro_batch=5)
    optimizer = torch.optim.AdamW(walk.parameters(), lr=0.01)
    seen: list[Progress] = list(train(walk, optimizer, simple_groups(walk, 4), config, seed=0))
    assert [progress.step for progress in seen] == list(range(1, seen[0].steps + 1))
    assert len(seen) == 7 + 4 * 4  # 32 base passes, then 4 minibatches of 16 transitions
    assert sum(progress.metrics is not None for progress in seen) == 4


def test_the_seed_alone_decides_the_order_of_groups_and_nothing_global_is_drawn() -> None:
    def weights_after(seed: int) -> Tensor:
        walk = moved_walk(0.0)
        optimizer = torch.optim.AdamW(walk.parameters(), lr=0.01)
        for _ in train(walk, optimizer, simple_groups(walk, 6), LoopConfig(), seed=seed):
            pass
        return walk.learner.detach()

    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = weights_after(5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(weights_after(5), first)
    assert not torch.equal(weights_after(6), first)


def test_a_gradient_that_is_not_finite_stops_the_update_before_it_moves_any_weight() -> None:
    walk = moved_walk(0.0)
    (group,) = simple_groups(walk, 1)
    latents = group.trajectories.latents.clone()
    latents[0, 0, 0, 0, 0] = math.inf
    broken = replace(group, trajectories=replace(group.trajectories, latents=latents))
    before = walk.learner.detach().clone()
    with pytest.raises(FloatingPointError, match="norm is nan"):
        list(train(walk, torch.optim.AdamW(walk.parameters()), [broken], LoopConfig(), seed=0))
    assert torch.equal(walk.learner.detach(), before)


def test_one_optimizer_step_is_refused_because_it_is_rloo() -> None:
    walk = moved_walk(0.0)
    optimizer = torch.optim.AdamW(walk.parameters())
    config = LoopConfig(passes=1, minibatches=1)
    with pytest.raises(ValueError, match="RLOO"):
        next(train(walk, optimizer, simple_groups(walk, 4), config, seed=0))
    with pytest.raises(ValueError, match="RLOO"):
        next(train(walk, optimizer, simple_groups(walk, 1), replace(config, minibatches=4), seed=0))


def test_an_update_without_any_signal_is_refused() -> None:
    walk = moved_walk(0.0)
    silent = judged(walk.trajectories(4, seed=1), [[0.0] * 4])
    optimizer = torch.optim.AdamW(walk.parameters())
    with pytest.raises(ValueError, match="no group has a learning signal"):
        next(train(walk, optimizer, [silent, silent], LoopConfig(kl_weight=1.0), seed=0))
