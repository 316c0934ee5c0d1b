"""The family that LOOP belongs to: from rewards to advantages, one function per estimator.

All else of an update is shared: log_probs, ratio, clip, sums. The estimators differ in what they
subtract from a reward and divide it by, and in how many optimizer steps they take:

    reinforce           A = r                                             one step
    reinforce_baseline  A = r - mean of the whole update                  one step
    rloo                A = r - mean of the others of the group           one step
    ppo                 A = (r - mean of the prompt) / its std, clipped   several steps
    grpo                A = (r - group mean) / (group std + 1e-4)         several steps
    loop                A = r - mean of the others of the group           several steps

No torch: rewards are a handful of numbers, and float64 throughout.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Literal

from loop_studio.judgement import advantages

Estimator = Literal["loop", "rloo", "reinforce", "reinforce_baseline", "ppo", "grpo"]

SINGLE_STEP: frozenset[Estimator] = frozenset({"reinforce", "reinforce_baseline", "rloo"})
"""On-policy estimators: one optimizer step on all groups, at which the ratio is still 1."""

STANDARDISED: frozenset[Estimator] = frozenset({"ppo", "grpo"})
"""Those whose advantages have no unit, so that a source's own scale must not divide them again."""

PROMPT_MEMORY = 32
PROMPT_LEAST = 16
ADVANTAGE_CLIP = 5.0
PPO_EPSILON = 1e-6
GRPO_EPSILON = 1e-4


@dataclass(frozen=True)
class Judged:
    """One judgement: rewards (m,) that one rater or source gave to images of one prompt."""

    judge: str  # see `judge_of`
    prompt_id: str
    mode: str  # a gesture, or `score`
    rewards: tuple[float, ...]


Past = Mapping[tuple[str, str], Sequence[float]]
"""Rewards of earlier updates by (judge, prompt), oldest first."""


def judge_of(source: str, rater_id: str | None, mode: str) -> str:
    """Who judged and how: rewards of two raters, sources or gestures are never pooled."""
    return f"{source}/{rater_id or ''}/{mode}"


def estimate(
    estimator: Estimator, judgements: Sequence[Judged], past: Past | None = None
) -> list[list[float]]:
    """Advantages of every judgement of one update: A_ji, each list as long as its rewards.

    `past` is read by `ppo` alone. Raises ValueError for a judgement of fewer than two rewards.
    """
    if any(len(judged.rewards) < 2 for judged in judgements):
        raise ValueError("a judgement needs at least two rewards")
    return _ESTIMATORS[estimator](judgements, past or {})


def leave_one_out(judgements: Sequence[Judged], past: Past) -> list[list[float]]:
    """A_i = r_i - mean of the others, or r_i - group mean for relative gestures; within a group.

    Unbiased at ratio 1. Source: RLOO (Kool et al. 2019; Ahmadian et al. 2024), whose baseline
    LOOP's abstract (arXiv 2503.00897) names; `loop` and `rloo` differ in their steps alone.
    """
    return [advantages(judged.mode, judged.rewards) for judged in judgements]


def no_baseline(judgements: Sequence[Judged], past: Past) -> list[list[float]]:
    """A_i = r_i. Unbiased, and as noisy as rewards are far from 0. Source: Williams 1992."""
    return [list(judged.rewards) for judged in judgements]


def batch_baseline(judgements: Sequence[Judged], past: Past) -> list[list[float]]:
    """A_i = r_i - mean over all N rewards of the judge in this update.

    As each r_i is part of its own baseline, the expected gradient is (N - 1)/N of the true one.
    Source: REINFORCE with a baseline (Williams 1992).
    """
    means = {judge: _mean(rewards) for judge, rewards in _by_judge(judgements).items()}
    return [[reward - means[judged.judge] for reward in judged.rewards] for judged in judgements]


def running_statistics(judgements: Sequence[Judged], past: Past) -> list[list[float]]:
    """A_i = (r_i - mean) / (std + 1e-6), clipped to 5 either way, of the prompt's last 32 rewards.

    This update's rewards count among them. Below 16 the whole update's mean and std stand in. Both
    depend on the update's own rewards, and the std differs by prompt: biased. Source: DDPO
    (Black et al. 2023), ddpo-pytorch's stat_tracking.py.
    """
    remembered: dict[tuple[str, str], list[float]] = defaultdict(list)
    for key, rewards in past.items():
        remembered[key] += rewards
    for judged in judgements:
        remembered[judged.judge, judged.prompt_id] += judged.rewards
    of_update = _by_judge(judgements)
    found = []
    for judged in judgements:
        memory = remembered[judged.judge, judged.prompt_id][-PROMPT_MEMORY:]
        if len(memory) < PROMPT_LEAST:
            memory = of_update[judged.judge]
        mean, std = _mean(memory), pstdev(memory) + PPO_EPSILON
        found.append([_clip((reward - mean) / std) for reward in judged.rewards])
    return found


def group_standardised(judgements: Sequence[Judged], past: Past) -> list[list[float]]:
    """A_i = (r_i - group mean) / (group std + 1e-4), the std over m, not m - 1.

    Every group counts alike however little its rewards differ: biased in direction across prompts
    of unequal spread. Source: GRPO (Shao et al. 2024), eq. 3,
    which has no epsilon.
    """
    found = []
    for judged in judgements:
        mean, std = _mean(judged.rewards), pstdev(judged.rewards) + GRPO_EPSILON
        found.append([(reward - mean) / std for reward in judged.rewards])
    return found


_ESTIMATORS: dict[Estimator, Callable[[Sequence[Judged], Past], list[list[float]]]] = {
    "loop": leave_one_out,
    "rloo": leave_one_out,
    "reinforce": no_baseline,
    "reinforce_baseline": batch_baseline,
    "ppo": running_statistics,
    "grpo": group_standardised,
}


def _by_judge(judgements: Sequence[Judged]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for judged in judgements:
        found[judged.judge] += judged.rewards
    return found


def _mean(rewards: Sequence[float]) -> float:
    """The mean, without rounding where all are equal: no signal must be exactly none."""
    return rewards[0] if len(set(rewards)) == 1 else fmean(rewards)


def _clip(advantage: float) -> float:
    return max(-ADVANTAGE_CLIP, min(ADVANTAGE_CLIP, advantage))
