"""What an optimizer step measures, and that it comes to the same in any micro-batches."""

from __future__ import annotations

import math

import pytest
import torch

from loop_studio.rl.batch import Batch, flatten
from loop_studio.rl.tally import Tally, advantage_spread
from loop_studio.rl.update import LoopConfig, Progress, train
from tests.rl.walk import Walk, judged, moved_walk, simple_groups


def steps_of(walk: Walk, micro_batch: int, groups: int = 2) -> list[Progress]:
    """Every optimizer step of an update that moves nothing."""
    config = LoopConfig(minibatches=1, kl_weight=0.1, micro_batch=micro_batch)
    optimizer = torch.optim.SGD(walk.parameters(), lr=0.0)
    made = simple_groups(walk, groups)
    return [p for p in train(walk, optimizer, made, config, seed=0) if p.metrics is not None]


def test_at_ratio_one_every_transition_carries_its_full_weight() -> None:
    first = steps_of(Walk(), micro_batch=16)[0]
    assert first.metrics is not None
    assert first.metrics["policy/effective_sample_size"] == pytest.approx(1.0)
    assert first.metrics["policy/log_ratio_nats"] == pytest.approx(0.0, abs=1e-9)


def test_the_effective_sample_size_is_that_of_the_importance_weights() -> None:
    """(sum w)^2 / (N sum w^2) of w = exp(nats): 1, 2 and 3 give 36 / 42."""
    tally = Tally()
    [batch] = one_batch()
    nats = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).log()
    tally.add(batch[:3], torch.ones(3), nats, torch.zeros(3), 0.1)
    assert tally.metrics(1.0)["policy/effective_sample_size"] == pytest.approx(36 / 42)


def test_a_huge_ratio_leaves_one_transition_and_no_overflow() -> None:
    tally = Tally()
    [batch] = one_batch()
    nats = torch.tensor([5000.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    tally.add(batch[:4], torch.ones(4), nats, torch.zeros(4), 0.1)
    assert tally.metrics(1.0)["policy/effective_sample_size"] == pytest.approx(1 / 4)


@pytest.mark.parametrize("micro_batch", [1, 3, 16])
def test_micro_batches_change_no_measurement(micro_batch: int) -> None:
    whole, parts = (steps_of(moved_walk(), size)[0] for size in (64, micro_batch))
    assert parts.metrics == pytest.approx(whole.metrics)
    assert whole.tally is not None
    assert parts.tally is not None
    for timestep, sums in whole.tally.timesteps.items():
        own = parts.tally.timesteps[timestep]
        assert vars(own) == pytest.approx(vars(sums))


def test_denoising_steps_add_up_to_the_whole() -> None:
    [step, *_] = steps_of(moved_walk(), micro_batch=5)
    assert step.tally is not None
    assert step.metrics is not None
    sums = step.tally.timesteps
    assert sorted(sums) == [0, 1]
    assert sum(own.rows for own in sums.values()) == step.tally.rows == 2 * 4 * 2
    for name in ("log_ratio_nats", "kl_to_base"):
        total = sum(getattr(own, name) for own in sums.values())
        assert total / step.tally.rows == pytest.approx(step.metrics[f"policy/{name}"])
        assert total > 0


def test_a_step_that_was_skipped_has_no_metrics() -> None:
    assert Tally().metrics(math.inf) == {}


def test_the_spread_of_advantages_is_their_root_mean_square() -> None:
    walk = Walk()
    groups = [
        judged(walk.trajectories(4, seed=1), [[0.75, -0.25, -0.25, -0.25]]),
        judged(walk.trajectories(4, seed=2), [[0.0] * 4]),
    ]
    assert advantage_spread(groups) == pytest.approx((0.75 / 8) ** 0.5)


def one_batch() -> list[Batch]:
    return [flatten(group, keep_silent=True) for group in simple_groups(Walk(), 1)]
