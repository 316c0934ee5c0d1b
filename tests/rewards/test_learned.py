"""The mathematics of a learned reward: worked examples, and utilities that are known."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from scipy.optimize import check_grad

from loop_studio.rewards.learned import (
    MEMBERS,
    OUTSIDE,
    Choices,
    Judgement,
    choices,
    disagreement,
    fit,
    validate,
)

GROUP = 4


def judged(rewards: list[float], mode: str = "best") -> Judgement:
    return Judgement("g", mode, tuple(range(len(rewards))), tuple(rewards))


@pytest.mark.parametrize(
    ("mode", "rewards", "expected"),
    [
        ("best", [0, 1, 0], [(1, {1, 0, 2, OUTSIDE})]),
        ("best", [0, 1, 0.5], [(1, {1, 0, 2, OUTSIDE}), (2, {2, 0, OUTSIDE})]),
        ("best", [0, 0, 0], [(OUTSIDE, {OUTSIDE, 0, 1, 2})]),  # none is good
        ("best", [0.5, 0.5, 0.5], []),  # all equal
        ("good", [1, 0], [(0, {0, 1, OUTSIDE}), (OUTSIDE, {OUTSIDE, 1})]),
        ("good", [1, 1], [(0, {0, OUTSIDE}), (1, {1, OUTSIDE})]),
        ("rank", [1, 0.5, 0], [(0, {0, 1, 2}), (1, {1, 2})]),  # Plackett-Luce
        ("stars", [0.25, 0.25, 0], [(0, {0, 2}), (1, {1, 2})]),
        ("stars", [0.75, 0.75], []),
    ],
)
def test_a_gesture_is_the_choices_it_stands_for(mode, rewards, expected) -> None:
    found = choices(mode, rewards)
    assert [(thing, set(among)) for thing, among in found] == expected
    assert all(len(among) == len(set(among)) for _, among in found)


def test_the_likelihood_of_a_choice_is_its_share_of_the_exponentials() -> None:
    both = Choices([judged([0, 1, 0]), judged([0, 0, 0])], pictures=3)
    utilities = np.array([0.3, 1.1, -0.4, 0.7])  # the last one is the outside option's
    total = sum(map(exp, utilities))
    value, _ = both.negative_log_likelihood(utilities, np.ones(2))
    assert value == pytest.approx(-log(exp(1.1) / total) - log(exp(0.7) / total))
    once, _ = both.negative_log_likelihood(utilities, np.array([2.0, 0.0]))
    assert once == pytest.approx(-2 * log(exp(1.1) / total))


def test_its_gradient_is_that_of_the_value() -> None:
    draws = np.random.default_rng(0)
    several = [judged([0, 1, 0.5]), judged([1, 0, 0], "good"), judged([1, 0.5, 0], "rank")]
    own = Choices(several, pictures=3)
    counts = draws.uniform(0.5, 2, len(own.chosen))
    point = draws.standard_normal(4)
    error = check_grad(
        lambda u: own.negative_log_likelihood(u, counts)[0],
        lambda u: own.negative_log_likelihood(u, counts)[1],
        point,
    )
    assert error < 1e-5


def simulated(groups: int, features: int, seed: int, noise: float = 0.1):
    """Best-of-4 choices by a known utility, a tenth of them made blindly."""
    draws = np.random.default_rng(seed)
    seen = draws.standard_normal((groups * GROUP, features))
    known = draws.standard_normal(features) * 3 / features**0.5
    told = []
    for group in range(groups):
        rows = tuple(range(GROUP * group, GROUP * group + GROUP))
        own = seen[list(rows)] @ known + draws.gumbel(size=GROUP)
        best = draws.integers(GROUP) if draws.random() < noise else int(np.argmax(own))
        rewards = tuple(float(place == best) for place in range(GROUP))
        told.append(Judgement(str(group), "best", rows, rewards, at_random=group % 4 == 0))
    return seen, told, known


def test_a_known_utility_is_recovered_from_noisy_choices() -> None:
    seen, told, known = simulated(600, 8, seed=1)
    found = fit(seen, told, seed=0)
    fresh = np.random.default_rng(9).standard_normal((500, 8))
    assert np.corrcoef(found.utilities(fresh), fresh @ known)[0, 1] > 0.97
    apart = found.utilities(seen).reshape(-1, GROUP)
    assert float(apart.std(axis=1, ddof=1).mean()) == pytest.approx(1, abs=0.1)


def test_a_few_dozen_choices_teach_more_features_than_choices() -> None:
    seen, told, known = simulated(27, 40, seed=2)
    found = fit(seen, told, seed=0)
    fresh = np.random.default_rng(9).standard_normal((500, 40))
    assert np.corrcoef(found.utilities(fresh), fresh @ known)[0, 1] > 0.4


def test_the_same_judgements_and_seed_give_the_same_fit_bit_for_bit() -> None:
    seen, told, _ = simulated(30, 6, seed=3)
    one, other = fit(seen, told, seed=5), fit(seen, told, seed=5)
    assert np.array_equal(one.weights, other.weights)
    assert np.array_equal(one.members, other.members)
    assert one.members.shape == (MEMBERS, 6)
    assert not np.array_equal(fit(seen, told, seed=6).members, one.members)


def test_members_agree_where_much_was_judged_and_differ_where_nothing_was() -> None:
    """Only the first feature ever varied in what was judged."""
    draws = np.random.default_rng(4)
    seen = draws.standard_normal((400, 2)) * [1, 1e-3]
    told = [
        Judgement(str(g), "best", rows, tuple(np.eye(GROUP)[int(np.argmax(seen[list(rows), 0]))]))
        for g in range(100)
        if (rows := tuple(range(GROUP * g, GROUP * g + GROUP)))
    ]
    found = fit(seen, told, seed=0)
    known = found.spread(np.array([[2.0, 0.0], [-2.0, 0.0]]))
    strange = found.spread(np.array([[0.0, 0.01], [0.0, -0.01]]))
    assert (known[:, 0] > known[:, 1]).all()
    assert 0.3 < (strange[:, 0] > strange[:, 1]).mean() < 0.7
    assert disagreement(strange) > 3 * disagreement(known)


def test_the_threshold_falls_where_none_is_good_begins() -> None:
    """Groups are judged none good while their best picture is below 1."""
    draws = np.random.default_rng(5)
    seen = draws.standard_normal((800, 1))
    told = []
    for group in range(200):
        rows = tuple(range(GROUP * group, GROUP * group + GROUP))
        own = seen[list(rows), 0]
        chosen = np.eye(GROUP)[int(np.argmax(own))] * (own.max() > 1)
        told.append(Judgement(str(group), "best", rows, tuple(chosen.tolist())))
    found = fit(seen, told, seed=0)
    at = found.utilities(np.array([[0.5], [1.5]]))
    assert at[0] < found.threshold < at[1]


def test_a_raters_bootstrap_draws_groups_and_not_single_judgements() -> None:
    """Fifty judgements of one group weigh like one group: the ensemble stays wide."""
    seen, told, _ = simulated(2, 3, seed=6)
    many = [*told, *[told[0]] * 49]
    wide = fit(seen, many, seed=0)
    assert np.isfinite(wide.members).all()
    assert wide.members.std(0).max() > 0.1


def test_nothing_that_tells_pictures_apart_is_no_fit() -> None:
    seen, _, _ = simulated(3, 2, seed=7)
    with pytest.raises(ValueError, match="tells pictures apart"):
        fit(seen, [judged([0, 0, 0]), judged([0.5, 0.5, 0.5])], seed=0)


def test_validation_leaves_groups_out_and_counts_random_ones_alone() -> None:
    seen, told, _ = simulated(80, 6, seed=8)
    measured = validate(seen, told)
    assert len(measured.by_group) == 20
    assert 0.65 < np.mean(measured.by_group) < 1
    assert sum(part.pairs for part in measured.bins) == 20 * 3
    assert all(0.5 <= part.sure <= 1 for part in measured.bins)
    none = [Judgement(one.group, one.mode, one.rows, one.rewards) for one in told]
    assert validate(seen, none).by_group == ()


def test_validation_finds_chance_where_choices_are_blind() -> None:
    """What is fitted looks right on itself; left out, it is a coin."""
    seen, told, _ = simulated(120, 30, seed=9, noise=1.0)
    every = [Judgement(one.group, one.mode, one.rows, one.rewards, True) for one in told]
    assert np.mean(validate(seen, every).by_group) == pytest.approx(0.5, abs=0.08)
    found = fit(seen, every, seed=0).utilities(seen).reshape(-1, GROUP)
    best = np.array([one.rewards for one in every]).argmax(1)
    assert (found.argmax(1) == best).mean() > 0.4  # of 0.25 by chance


def test_disagreement_is_zero_for_one_mind_and_highest_for_two() -> None:
    assert disagreement(np.array([[3.0, 0, 0, 0]] * 5)) == pytest.approx(0, abs=1e-12)
    assert disagreement(np.zeros((5, 4))) == pytest.approx(0, abs=1e-12)
    two = np.array([[50.0, 0, 0, 0], [0, 50.0, 0, 0]])
    assert disagreement(two) == pytest.approx(log(2))
