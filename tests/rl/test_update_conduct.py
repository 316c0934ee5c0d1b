"""How an update goes about its work: yields, randomness, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from loop_studio.rl.course import Progress
from loop_studio.rl.types import JudgedGroup, Transitions, Weights
from loop_studio.rl.update import LoopConfig, train
from tests.rl.walk import Walk, judged, moved_walk, simple_groups


def test_an_update_yields_after_every_micro_batch_and_counts_them_all() -> None:
    walk = moved_walk(0.0)
    config = LoopConfig(passes=2, minibatches=2, kl_weight=0.1, micro_batch=5)
    optimizer = torch.optim.AdamW(walk.parameters(), lr=0.01)
    seen: list[Progress] = list(train(walk, optimizer, simple_groups(walk, 4), config, seed=0))
    steps = [progress.step for progress in seen]
    assert steps == sorted(steps)
    assert steps[-1] == seen[0].steps == 32 + 4 * 16  # base means, then 4 minibatches
    assert len(seen) == 7 + 4 * (4 + 1)
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


def broken(group: JudgedGroup) -> JudgedGroup:
    latents = group.trajectories.latents.clone()
    latents[0, 0, 0, 0, 0] = math.inf
    return replace(group, trajectories=replace(group.trajectories, latents=latents))


def test_where_no_gradient_is_finite_the_update_fails_and_no_weight_moves() -> None:
    walk = moved_walk(0.0)
    (group,) = simple_groups(walk, 1)
    before = walk.learner.detach().clone()
    optimizer = torch.optim.AdamW(walk.parameters())
    with pytest.raises(FloatingPointError, match="norm is nan"):
        list(train(walk, optimizer, [broken(group)], LoopConfig(), seed=0))
    assert torch.equal(walk.learner.detach(), before)


def test_a_step_whose_gradient_is_not_finite_is_skipped_and_counted() -> None:
    walk = moved_walk(0.0)
    good, bad = simple_groups(walk, 2)
    optimizer = torch.optim.AdamW(walk.parameters())
    seen = list(train(walk, optimizer, [good, broken(bad)], LoopConfig(), seed=0))
    metrics = [progress.metrics for progress in seen if progress.metrics]
    assert metrics[-1]["policy/skipped_steps"] == 2  # once in each of two passes
    assert sum("policy/grad_norm" in found for found in metrics) == 2
    assert all(math.isfinite(value) for found in metrics for value in found.values())
    assert walk.learner.isfinite().all()


class Halves(Walk):
    """A walk whose gradients overflow at a large loss scale, as fp16's do."""

    def transition(self, transitions: Transitions, weights: Weights) -> tuple[Tensor, Tensor]:
        mean, std = super().transition(transitions, weights)
        if mean.requires_grad:
            mean.register_hook(lambda gradient: gradient.half().double())
        return mean, std


def test_fp16_tries_a_minibatch_again_at_lower_loss_scales() -> None:
    walk = Halves(seed=0)
    groups = simple_groups(walk, 4)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    optimizer = torch.optim.SGD(walk.parameters(), lr=0.1)
    before = walk.learner.detach().clone()
    config = LoopConfig(single_step=True)
    seen = list(train(walk, optimizer, groups, config, seed=0, scaler=scaler))
    assert scaler.get_scale() < 2.0**24
    assert not torch.equal(walk.learner.detach(), before)
    assert seen[-1].step == seen[-1].steps
    assert (seen[-1].metrics or {})["policy/skipped_steps"] == 0


class Cramped(Walk):
    """A walk whose accelerator holds `room` transitions and no more."""

    room = 100

    def transition(self, transitions: Transitions, weights: Weights) -> tuple[Tensor, Tensor]:
        if len(transitions.prompts) > self.room:
            raise torch.OutOfMemoryError("injected")
        return super().transition(transitions, weights)


@pytest.mark.parametrize(("room", "size"), [(10, 8), (3, 2), (1, 1)])
def test_where_memory_runs_out_micro_batches_are_halved_and_nothing_else_changes(
    room: int, size: int
) -> None:
    config = LoopConfig(kl_weight=0.1, micro_batch=16)

    def after(room: int) -> tuple[Tensor, list[Progress]]:
        walk = Cramped(seed=0)
        groups = simple_groups(walk, 4)
        walk.room = room
        optimizer = torch.optim.SGD(walk.parameters(), lr=0.1)
        seen = list(train(walk, optimizer, groups, config, seed=0))
        return walk.learner.detach(), seen

    roomy, seen = after(100)
    assert {progress.micro_batch for progress in seen} == {16}
    cramped, seen = after(room)
    assert seen[-1].micro_batch == size
    assert seen[-1].step == seen[-1].steps
    torch.testing.assert_close(cramped, roomy, rtol=1e-12, atol=1e-14)


def test_memory_that_holds_not_one_transition_is_an_error() -> None:
    walk = Cramped(seed=0)
    groups = simple_groups(walk, 2)
    walk.room = 0
    with pytest.raises(torch.OutOfMemoryError):
        list(train(walk, torch.optim.SGD(walk.parameters()), groups, LoopConfig(), seed=0))


def test_rloo_takes_one_step_whatever_passes_say() -> None:
    walk = moved_walk(0.0)
    optimizer = torch.optim.AdamW(walk.parameters())
    config = LoopConfig(passes=3, minibatches=2, single_step=True)
    seen = list(train(walk, optimizer, simple_groups(walk, 4), config, seed=0))
    assert sum(progress.metrics is not None for progress in seen) == 1


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
