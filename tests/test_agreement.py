import random

import pytest

from loop_studio.agreement import agreeing, alpha, best_of, category
from loop_studio.shares import Share

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers,
# twelve units, gaps where an observer was silent. His results: 0.743 nominal, 0.815 ordinal.
PUBLISHED = [
    [1, 1, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [5, 5, 5],
    [1, 1],
    [3],
]


def test_alpha_is_the_published_one() -> None:
    assert alpha(PUBLISHED, "nominal") == pytest.approx(0.743, abs=5e-4)
    assert alpha(PUBLISHED, "ordinal") == pytest.approx(0.815, abs=5e-4)


def test_raters_who_choose_by_chance_have_an_alpha_of_nought() -> None:
    draw = random.Random(5)
    units = [[draw.randrange(4), draw.randrange(4)] for _ in range(2000)]
    assert alpha(units, "nominal") == pytest.approx(0.0, abs=3 * 0.0129)  # sd 1/sqrt(3 x 2000)


@pytest.mark.parametrize("units", [[], [[1.0], [2.0]], [[1.0, 1.0], [1.0, 1.0]]])
def test_nothing_to_compare_has_no_alpha(units: list[list[float]]) -> None:
    assert alpha(units, "nominal") is None


@pytest.mark.parametrize(
    ("rewards", "best", "named"),
    [
        ([0.0, 1.0, 0.5], {1}, 1),
        ([0.5, 1.0, 1.0], {1, 2}, -1),
        ([0.0, 0.0, 0.0], set(), -1),
        ([None, 0.2, 0.7], {2}, 2),
        ([None, None, 0.7], set(), -1),
    ],
)
def test_the_best_picture_of_any_gesture(
    rewards: list[float | None], best: set[int], named: int
) -> None:
    assert best_of(rewards) == best
    assert category(best_of(rewards)) == named


def test_agreement_within_a_group_is_one_number() -> None:
    one, other = frozenset({0}), frozenset({1})
    assert agreeing([one, one]) == 1.0
    assert agreeing([one, one, other]) == pytest.approx(1 / 3)


def test_wilsons_interval_is_the_published_one_and_halves_lie_between() -> None:
    # Newcombe (1998), table I, method 3: 81 of 263 and 0 of 20.
    assert Share(81, 263).interval() == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert Share(0, 20).interval() == pytest.approx((0.0, 0.1611), abs=5e-5)
    low, high = Share(12.5, 20).interval()
    assert (low, high) == pytest.approx((0.4095, 0.8002), abs=2e-3)  # the formula at 12.5
    assert Share(0, 0).interval() == (0.0, 1.0)
    assert Share.of([1.0, 0.5, 0.0]).value == 0.5
