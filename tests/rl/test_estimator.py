"""What leave-one-out buys: checked on Gaussian bandits whose gradient is known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from loop_studio.judgement import group_centred, leave_one_out
from loop_studio.rl.types import JudgedGroup, Trajectories
from loop_studio.rl.update import LoopConfig, train
from tests.rl.walk import Walk, judged

ELEMENTS = 4
SLOPE = torch.tensor([0.6, -0.3, 0.0, 0.2], dtype=torch.float64)
BATCHES, GROUPS, K = 50, 25, 4
ONCE = LoopConfig(passes=2, minibatches=1, max_grad_norm=math.inf, micro_batch=10_000)

Centre = Callable[[Sequence[float]], list[float]]


def linear_reward(stored: Trajectories) -> list[float]:
    """1 + slope . (x' - x): its expected gradient in the drift is the slope itself."""
    moved = (stored.latents[:, 1] - stored.latents[:, 0]).flatten(1)
    rewards: list[float] = (1 + moved @ SLOPE).tolist()
    return rewards


def drift_gradients(centre: Centre) -> Tensor:
    """Gradients of E[reward] in true nats, one per batch of groups: (BATCHES, ELEMENTS)."""
    walk = Walk(ELEMENTS, stds=(0.8,), seed=1)
    found = []
    for batch in range(BATCHES):
        groups: list[JudgedGroup] = []
        for number in range(GROUPS):
            stored = walk.trajectories(K, seed=1000 * batch + number)
            groups.append(judged(stored, [centre(linear_reward(stored))]))
        next(train(walk, torch.optim.SGD(walk.parameters(), lr=0.0), groups, ONCE, seed=0))
        found.append(-walk.learner.grad[0, 0].flatten() * ELEMENTS)  # log_prob is a mean over D
    return torch.stack(found)


def interval(samples: Tensor, width: float = 4.0) -> tuple[Tensor, Tensor]:
    """Mean and half-width in standard errors; four of them fail once in 16,000."""
    return samples.mean(0), width * samples.std(0) / len(samples) ** 0.5


def test_leave_one_out_is_unbiased_and_varies_less_than_no_baseline() -> None:
    with_baseline, without = drift_gradients(leave_one_out), drift_gradients(list)
    for samples in (with_baseline, without):
        mean, half = interval(samples)
        assert ((mean - SLOPE).abs() <= half).all()
    _, half = interval(with_baseline)
    assert half.max() < 0.12  # narrow enough to tell the slope from three quarters of it
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(BATCHES, (2000, BATCHES), generator=generator)
    ratios = with_baseline[rows].var(1).sum(-1) / without[rows].var(1).sum(-1)
    assert ratios.quantile(0.99) < 0.7  # upper end of a paired bootstrap interval


def test_group_centring_estimates_the_slope_times_m_minus_1_over_m() -> None:
    mean, half = interval(drift_gradients(group_centred))
    assert ((mean - SLOPE * (K - 1) / K).abs() <= half).all()
    assert abs(mean[0] - SLOPE[0]) > half[0]  # so it is told apart from leave-one-out


def share_of_better_arm(better: int) -> tuple[float, float]:
    """Pull an arm by the sign of the step, 5 updates of 8 groups of 4; share before and after."""
    walk = Walk(elements=1, stds=(1.0,))
    walk.live.zero_()
    walk.learner.data.zero_()
    optimizer = torch.optim.AdamW(walk.parameters(), lr=0.1, weight_decay=0.0)

    def rewards(stored: Trajectories) -> list[float]:
        moved = (stored.latents[:, 1] - stored.latents[:, 0]).flatten()
        return (better * moved > 0).double().tolist()

    before = sum(rewards(walk.trajectories(400, seed=1))) / 400
    for update in range(5):
        groups = []
        for number in range(8):
            stored = walk.trajectories(4, seed=100 * update + number)
            groups.append(judged(stored, [leave_one_out(rewards(stored))]))
        for _ in train(walk, optimizer, groups, LoopConfig(clip_nats=0.3), seed=update):
            pass
        walk.live = walk.learner.detach().clone()
    return before, sum(rewards(walk.trajectories(400, seed=2))) / 400


def test_a_bandit_learns_whichever_arm_is_the_better_one() -> None:
    for better in (1, -1):
        before, after = share_of_better_arm(better)
        assert 0.4 < before < 0.6
        assert after > 0.9
