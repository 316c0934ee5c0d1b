import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_studio.errors import Invalid
from loop_studio.judgement import (
    advantages,
    check_gesture,
    derive,
    group_centred,
    leave_one_out,
)

IMAGES = ["a", "b", "c", "d"]
rewards = st.lists(
    st.one_of(
        st.integers(0, 5), st.floats(-10, 10), st.sampled_from([0.0, 0.5, 1.0]), st.booleans()
    ),
    min_size=2,
    max_size=16,
)


@given(rewards)
def test_advantages_sum_to_zero_in_every_group(values: list[float]) -> None:
    for centred in (leave_one_out(values), group_centred(values)):
        assert math.fsum(centred) == pytest.approx(0, abs=1e-12 * max(1, max(map(abs, values))))


@given(rewards)
def test_each_image_is_compared_with_the_mean_of_the_others_exactly(values: list[float]) -> None:
    exact = [Fraction(value) for value in values]
    m, total = len(values), sum(exact)
    for value, advantage in zip(exact, leave_one_out(values), strict=True):
        expected = value - (total - value) / (m - 1)
        assert advantage == pytest.approx(float(expected), rel=1e-12, abs=1e-12)


@given(rewards)
def test_leave_one_out_is_the_scaled_group_centring(values: list[float]) -> None:
    m = len(values)
    scaled = [m / (m - 1) * centred for centred in group_centred(values)]
    assert leave_one_out(values) == pytest.approx(scaled, rel=1e-14, abs=0)


@given(rewards, st.floats(0.1, 8))
def test_advantages_keep_the_size_of_the_rewards_and_are_never_standardised(
    values: list[float], scale: float
) -> None:
    grown = leave_one_out([value * scale for value in values])
    expected = [scale * advantage for advantage in leave_one_out(values)]
    assert grown == pytest.approx(expected, rel=1e-9, abs=1e-11)


@given(st.one_of(st.integers(0, 5), st.floats(-1e6, 1e6)), st.integers(2, 16))
def test_equal_rewards_give_exactly_zero_whatever_rounding_does(value: float, m: int) -> None:
    assert leave_one_out([value] * m) == [0.0] * m
    assert group_centred([value] * m) == [0.0] * m


@pytest.mark.parametrize("count", [0, 1])
def test_a_group_of_one_is_an_error(count: int) -> None:
    for centre in (leave_one_out, group_centred):
        with pytest.raises(ValueError, match="two rewards"):
            centre([1.0] * count)


def test_whole_and_real_numbers_give_the_same_advantages() -> None:
    assert leave_one_out([0, 1, 0, 1]) == leave_one_out([0.0, 1.0, 0.0, 1.0])
    assert leave_one_out([0, 1, 1]) == [-1.0, 0.5, 0.5]  # no whole-number truncation


def test_best_of_four_pushes_the_chosen_one_up_by_three_quarters() -> None:
    derived = derive("best", {"a": 1, "b": 0, "c": 0, "d": 0}, IMAGES)
    assert derived.usable
    assert derived.advantages == {"a": 0.75, "b": -0.25, "c": -0.25, "d": -0.25}


def test_good_pushes_by_the_leave_one_out_baseline() -> None:
    derived = derive("good", {"a": 1, "b": 0, "c": 0, "d": 0}, IMAGES)
    assert derived.advantages == pytest.approx({"a": 1, "b": -1 / 3, "c": -1 / 3, "d": -1 / 3})


def test_relative_gestures_are_group_centred_and_pointwise_ones_leave_one_out() -> None:
    values = [1.0, 0.0, 0.5]
    assert advantages("best", values) == advantages("rank", values) == group_centred(values)
    assert advantages("good", values) == advantages("score", values) == leave_one_out(values)


def test_images_that_were_not_judged_get_neither_reward_nor_advantage() -> None:
    derived = derive("stars", {"a": 5, "b": None, "c": 2}, IMAGES)
    assert derived.rewards == {"a": 1.0, "b": None, "c": 0.25, "d": None}
    assert derived.advantages == {"a": 0.75, "b": None, "c": -0.75, "d": None}


@given(
    st.dictionaries(
        st.sampled_from(IMAGES), st.one_of(st.none(), st.integers(1, 5)), min_size=1, max_size=4
    )
)
def test_a_partial_judgement_sums_to_zero_over_the_judged_ones(
    stars: dict[str, int | None],
) -> None:
    derived = derive("stars", stars, IMAGES)
    judged = [stars[image] for image in IMAGES if stars.get(image) is not None]
    pushes = [push for push in derived.advantages.values() if push is not None]
    assert math.fsum(pushes) == pytest.approx(0, abs=1e-12)
    assert derived.usable == (len(set(judged)) > 1)
    assert bool(derived.reason) != derived.usable
    if len(judged) >= 2:
        assert len(pushes) == len(judged)


@pytest.mark.parametrize(
    ("mode", "judgement", "expected"),
    [
        ("good", {"a": 0, "b": 1}, {"a": 0.0, "b": 1.0}),
        ("stars", {"a": 1, "b": 3, "c": 5}, {"a": 0.0, "b": 0.5, "c": 1.0}),
        ("best", {"a": 1, "b": 0.5, "c": 0}, {"a": 1.0, "b": 0.5, "c": 0.0}),
        ("rank", {"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 1.0, "b": 2 / 3, "c": 1 / 3, "d": 0.0}),
        ("rank", {"a": 1, "b": 1, "c": 3}, {"a": 0.75, "b": 0.75, "c": 0.0}),
        ("rank", {"a": 2, "b": 2, "c": 2}, {"a": 0.5, "b": 0.5, "c": 0.5}),
    ],
)
def test_gestures_map_to_rewards_between_zero_and_one(
    mode: str, judgement: dict[str, float], expected: dict[str, float]
) -> None:
    derived = derive(mode, judgement, IMAGES)
    assert {i: r for i, r in derived.rewards.items() if r is not None} == pytest.approx(expected)


@given(st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_the_mean_reward_of_a_ranking_is_one_half_for_ever(ranks: list[int]) -> None:
    derived = derive("rank", dict(zip(IMAGES, ranks, strict=True)), IMAGES)
    assert math.fsum(filter(None, derived.rewards.values())) == pytest.approx(2.0)


@given(st.permutations([1, 2, 3, 4]))
def test_a_better_rank_never_has_a_smaller_advantage(ranks: list[int]) -> None:
    derived = derive("rank", dict(zip(IMAGES, ranks, strict=True)), IMAGES)
    order = sorted(IMAGES, key=lambda image: ranks[IMAGES.index(image)])
    pushes = [derived.advantages[image] for image in order]
    assert pushes == sorted(pushes, reverse=True)


@pytest.mark.parametrize(
    ("mode", "judgement", "reason"),
    [
        ("skip", {}, "Skipped: nothing was judged."),
        ("best", {"a": 1}, "No learning signal: judge at least two images."),
        ("good", dict.fromkeys(IMAGES, 0), "No learning signal: all images are judged equal."),
        ("stars", dict.fromkeys(IMAGES, 3), "No learning signal: all images are judged equal."),
    ],
)
def test_a_judgement_without_signal_says_why(
    mode: str, judgement: dict[str, float], reason: str
) -> None:
    derived = derive(mode, judgement, IMAGES)
    assert not derived.usable
    assert derived.reason == reason
    assert not any(derived.advantages.values())


@pytest.mark.parametrize(
    ("mode", "judgement", "sentence"),
    [
        ("best", {"z": 1}, "Image z does not belong to this group."),
        ("skip", {"a": 1}, "A skip has an empty judgement."),
        ("best", {}, "The judgement is empty"),
        ("best", {"a": None}, "The judgement is empty"),
        ("best", {"a": 1, "b": 1}, "Only one image can be chosen"),
        ("best", {"a": 0.7}, "In mode best, a value is 1"),
        ("stars", {"a": 6}, "In mode stars, a value is whole stars from 1 to 5"),
        ("stars", {"a": 2.5}, "In mode stars"),
        ("stars", {"a": math.nan}, "In mode stars"),
        ("good", {"a": 0.5}, "In mode good"),
        ("rank", {"a": 5}, "In mode rank, a value is a whole rank from 1 .best. to 4"),
        ("rank", {"a": 0}, "In mode rank"),
        ("pair", {"a": 1, "b": 0}, "needs a group of two"),
        ("love", {"a": 1}, "There is no mode 'love'"),
    ],
)
def test_a_wrong_gesture_is_refused_with_a_sentence(
    mode: str, judgement: dict[str, float | None], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        check_gesture(mode, judgement, IMAGES)


@pytest.mark.parametrize(
    ("mode", "judgement"),
    [("best", {"a": 1, "b": 0.5}), ("good", {"a": 1, "b": None}), ("rank", {"a": 1, "b": 1})],
)
def test_a_right_gesture_is_accepted(mode: str, judgement: dict[str, float | None]) -> None:
    check_gesture(mode, judgement, IMAGES)
