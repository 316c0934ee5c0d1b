"""Groups of older versions: where the clip stands, and what they weigh."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from loop_studio.rl.batch import flatten
from loop_studio.rl.gaussian import log_prob
from loop_studio.rl.late import LateRatings, Treatment, treat, weigh
from loop_studio.rl.types import JudgedGroup
from loop_studio.rl.update import LoopConfig, train
from tests.rl.walk import Walk, simple_groups

T = torch.tensor


def moved(walk: Walk) -> Walk:
    walk.move(0.2, seed=5)
    return walk


def learned(groups_lag: int, treatment: Treatment) -> Tensor:
    walk = Walk(seed=0)
    groups = [replace(group, lag=groups_lag) for group in simple_groups(walk, 4)]
    moved(walk)
    config = LoopConfig(late=LateRatings(treatment, gate=0.05), kl_weight=0.1)
    optimizer = torch.optim.SGD(walk.parameters(), lr=0.1)
    for _ in train(walk, optimizer, groups, config, seed=0):
        pass
    return walk.learner.detach()


def test_without_late_groups_all_treatments_are_one_bit_for_bit() -> None:
    plain = learned(0, "stored")
    for treatment in get_args(Treatment):
        assert torch.equal(learned(0, treatment), plain)


def test_late_groups_are_treated_each_in_its_own_way() -> None:
    found = [learned(3, treatment) for treatment in get_args(Treatment)]
    for number, one in enumerate(found):
        assert one.isfinite().all()
        assert not any(torch.equal(one, other) for other in found[:number])


def test_weights_are_cut_off_and_keep_the_mean_of_their_step() -> None:
    nats = [T([0.0, math.log(1.5), 3.0, -1.0], dtype=torch.float64), T([0.5] * 2).double()]
    steps = [T([9, 9, 4, 4]), T([9, 4])]
    one, two = weigh(nats, steps, LateRatings("decoupled", w_max=2.0))
    cut9 = T([1.0, 1.5, math.exp(0.5)]).double()
    cut4 = T([2.0, math.exp(-1), math.exp(0.5)]).double()
    torch.testing.assert_close(torch.cat([one[:2], two[:1]]), cut9 / cut9.mean())
    torch.testing.assert_close(torch.cat([one[2:], two[1:]]), cut4 / cut4.mean())


def test_the_gate_drops_the_steps_of_a_group_that_moved_too_far() -> None:
    nats = [T([-5.0, -3.0, 0.1, -0.1]).double(), T([0.0, 0.0]).double()]
    steps = [T([9, 9, 4, 4]), T([9, 4])]
    one, two = weigh(nats, steps, LateRatings("gated", gate=2.0))
    assert one[:2].tolist() == [0.0, 0.0]
    assert two[0] == 3.0  # what is left of its step keeps the influence of all
    assert (one[2:] > 0).all()
    assert [w.sum() for w in weigh([nats[0][:2]], [T([9, 9])], LateRatings("gated"))] == [0.0]


def test_decoupled_weights_undo_the_change_of_weights_in_expectation() -> None:
    """E_maker[w f] = E_start[f]: many late walks, weighed, look like walks made now."""
    walk = Walk(elements=1, stds=(1.0,), seed=0)
    stored = walk.trajectories(20_000, seed=1)
    group = JudgedGroup("g", stored, torch.ones(1, 20_000).double(), T([20_000]), lag=1)
    moved(walk)
    late = [flatten(group, keep_silent=True)]
    unweighed = late[0].up[0].item()
    assert sum(treat(walk, late, [0], LateRatings("decoupled", w_max=100.0), 1_000)) == 20_000
    weights = late[0].up.double() / unweighed
    mean, std = walk.transition(late[0].transitions, "learner")
    torch.testing.assert_close(late[0].old_log_probs, log_prob(late[0].next_latents, mean, std))
    residual = ((late[0].next_latents - mean) / std.view(-1, 1, 1, 1)).flatten()
    plain = residual.mean().item()
    weighed = (weights * residual).mean().item()
    error = (weights * residual).std().item() / 20_000**0.5
    assert abs(plain) > 8 * error
    assert abs(weighed) < 4 * error


@pytest.mark.parametrize("treatment", ["reanchored", "decoupled"])
def test_the_clip_of_a_late_group_stands_at_the_start_of_the_update(treatment: Treatment) -> None:
    walk = Walk(seed=0)
    groups = [replace(group, lag=1) for group in simple_groups(walk, 2)]
    walk.move(2.0, seed=5)  # far beyond any clip of the maker's
    tight = LoopConfig(clip_nats=0.01, late=LateRatings(treatment))
    optimizer = torch.optim.SGD(walk.parameters(), lr=1e-6)

    def first_metrics(config: LoopConfig) -> dict[str, float]:
        return next(p.metrics for p in train(walk, optimizer, groups, config, seed=0) if p.metrics)

    first = first_metrics(tight)
    assert first["policy/clip_fraction"] == 0.0
    first = first_metrics(replace(tight, late=LateRatings("stored")))
    assert first["policy/clip_fraction"] > 0.2


def test_a_minibatch_that_the_gate_left_without_a_push_takes_no_step() -> None:
    walk = Walk(seed=0)
    late, fresh = simple_groups(walk, 2)
    walk.move(2.0, seed=5)
    config = LoopConfig(late=LateRatings("gated", gate=0.1), kl_weight=0.1)
    groups = [replace(late, lag=1), fresh]
    seen = list(train(walk, torch.optim.SGD(walk.parameters()), groups, config, seed=0))
    assert sum(progress.metrics is not None for progress in seen) == 2  # once in each pass
    assert seen[-1].step == seen[-1].steps
