"""The family's formulas by hand, and what each estimates on a bandit known in closed form."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from benchmarks.estimators import Reading, gradients, reading
from loop_studio.estimators import (
    SINGLE_STEP,
    STANDARDISED,
    Estimator,
    Judged,
    estimate,
    judge_of,
)

UPDATES = 1200


def judged(*rewards: float, mode: str = "score", prompt: str = "p", judge: str = "s") -> Judged:
    return Judged(judge, prompt, mode, rewards)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        ("loop", [[-1.5, 1.5, 0.0], [0.0, 0.0]]),
        ("rloo", [[-1.5, 1.5, 0.0], [0.0, 0.0]]),
        ("reinforce", [[1.0, 3.0, 2.0], [7.0, 7.0]]),
        ("reinforce_baseline", [[-3.0, -1.0, -2.0], [3.0, 3.0]]),
        ("grpo", [[-1.22459, 1.22459, 0.0], [0.0, 0.0]]),
        ("ppo", [[-1.18585, -0.39528, -0.79057], [1.18585, 1.18585]]),
    ],
)
def test_advantages_by_hand(estimator: Estimator, expected: list[list[float]]) -> None:
    found = estimate(estimator, [judged(1.0, 3.0, 2.0), judged(7.0, 7.0, prompt="q")])
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-5)


def test_loop_centres_relative_gestures_on_the_group() -> None:
    assert estimate("loop", [judged(1, 0, 0, 0, mode="best")]) == [[0.75, -0.25, -0.25, -0.25]]
    assert estimate("rloo", [judged(1, 0, 0, 0, mode="good")])[0][0] == 1.0


def test_ppo_standardises_by_the_last_32_rewards_of_a_prompt() -> None:
    past = {("s", "p"): [1000.0] * 40 + [0.0, 2.0] * 15}  # the oldest are forgotten
    (found,) = estimate("ppo", [judged(1.0, 3.0)], past)
    memory = [*[0.0, 2.0] * 15, 1.0, 3.0]
    mean, std = np.mean(memory), np.std(memory)
    assert found == pytest.approx([(1 - mean) / std, (3 - mean) / std], abs=1e-5)


def test_ppo_clips_and_keeps_judges_apart() -> None:
    past = {("s", "p"): [0.0, 0.1] * 16, ("t", "p"): [500.0] * 32}
    assert estimate("ppo", [judged(0.05, 9.0)], past)[0][1] > 4.9  # an outlier, held at 5
    low = {("s", "p"): [0.0, 0.001] * 16}
    many = estimate("ppo", [judged(0.0, 0.001, *[0.0] * 28, 50.0, -50.0)], low)[0]
    assert max(map(abs, many)) <= 5.0


@pytest.mark.parametrize("estimator", ["ppo", "reinforce_baseline"])
def test_a_lenient_and_a_strict_rater_are_not_pooled(estimator: Estimator) -> None:
    ann = judged(1.0, 1.0, 0.75, 1.0, judge=judge_of("human", "ann", "stars"))
    ben = judged(0.0, 0.25, 0.0, 0.0, judge=judge_of("human", "ben", "stars"))
    for found in estimate(estimator, [ann, ben]):
        assert min(found) < 0 < max(found)


@pytest.mark.parametrize("estimator", ["loop", "rloo", "reinforce_baseline", "ppo", "grpo"])
def test_equal_rewards_push_exactly_nothing(estimator: Estimator) -> None:
    for hundredths in range(1, 100):
        same = [judged(*[hundredths / 100] * 4)] * 5
        assert estimate(estimator, same) == [[0.0] * 4] * 5


@pytest.mark.parametrize("estimator", get_args(Estimator))
def test_a_lone_reward_is_refused(estimator: Estimator) -> None:
    with pytest.raises(ValueError, match="at least two"):
        estimate(estimator, [judged(1.0)])


def of(estimator: Estimator, rho: float, k: int) -> Reading:
    return reading(gradients(estimator, rho, k, UPDATES, seed=1))


@pytest.mark.parametrize("rho", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("k", [2, 4, 8])
def test_reinforce_and_leave_one_out_are_unbiased(rho: float, k: int) -> None:
    for estimator in ("reinforce", "loop"):
        found = of(estimator, rho, k)
        assert found.bias < 2.5 * found.bias_error
        assert found.cosine > 1 - 4 * found.cosine_error - 0.01


@pytest.mark.parametrize("k", [2, 4, 8])
def test_standardising_turns_the_gradient_towards_prompts_of_small_spread(k: int) -> None:
    loop = of("loop", 1.0, k)
    for estimator in STANDARDISED:
        found = of(estimator, 1.0, k)
        assert found.cosine + 4 * found.cosine_error < 0.98 < loop.cosine


def test_leave_one_out_lowers_the_variance_where_rewards_are_far_from_zero() -> None:
    for rho in (1.0, 3.0):
        for k in (4, 8):
            assert of("loop", rho, k).std < 0.93 * of("reinforce", rho, k).std
    for k in (2, 4, 8):
        assert of("loop", 0.0, k).std > of("reinforce", 0.0, k).std


def test_a_relative_gesture_climbs_the_chance_of_being_preferred_not_the_mean() -> None:
    """One arm earns 0.6 always, the other 1 in four of ten pulls: which is learned?"""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((4000, 4))
    hits = generator.random(x.shape) < 0.4
    values = np.where(x > 0, hits.astype(float), 0.6)
    chosen = (values == values.max(1, keepdims=True)).argmax(1)
    best = [judged(*row, mode="best") for row in np.eye(4)[chosen].tolist()]
    points = [judged(*row) for row in values.tolist()]
    slopes = {}
    for name, judgements in (("best", best), ("points", points)):
        per_group = (np.array(estimate("loop", judgements)) * x).mean(1)
        slopes[name] = per_group.mean() / (per_group.std() / len(per_group) ** 0.5)
    assert slopes["best"] > 4  # standard errors, towards the arm that wins most often
    assert slopes["points"] < -4  # towards the arm that earns more


def test_single_step_estimators_are_the_on_policy_ones() -> None:
    assert {"reinforce", "reinforce_baseline", "rloo"} == SINGLE_STEP
