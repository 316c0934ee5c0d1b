"""When a learned reward may count, and what it says until then."""

from __future__ import annotations

import pytest

from loop_studio.rewards.learned import Bin, Judgement, Validation
from loop_studio.rewards.trust import lacking, trust


def judgements(count: int, *rewards: float) -> list[Judgement]:
    return [Judgement(str(n), "best", tuple(range(4)), rewards) for n in range(count)]


def measured(*by_group: float) -> Validation:
    return Validation(by_group, (Bin(0.7, 0.8, 12),))


def test_too_few_groups_are_counted_and_said() -> None:
    assert lacking([]) == "A reward is learned from 8 judged groups or more: judge 8 more groups."
    assert lacking(judgements(7, 1, 0, 0, 0)).endswith("judge 1 more group.")
    assert lacking(judgements(8, 1, 0, 0, 0)) == ""


def test_several_judgements_of_one_group_are_one_group() -> None:
    assert lacking(judgements(1, 1, 0, 0, 0) * 20).endswith("judge 7 more groups.")


def test_one_sided_ratings_are_said_to_tell_nothing() -> None:
    one_sided = [*judgements(20, 0, 0, 0, 0), *judgements(2, 1, 0, 0, 0)]
    assert lacking(one_sided) == (
        "2 of 22 judgements prefer one picture to another, and 4 are needed: choose the better "
        "picture in a few more groups."
    )


def test_it_is_not_measured_on_fewer_than_five_groups() -> None:
    found = trust(measured(1, 1, 1), groups=12)
    assert (found.accuracy, found.contributes) == (None, False)
    assert found.sentence == "It has been tested on 3 groups, and 5 are needed: judge about 8 more."


def test_it_counts_once_its_lower_bound_is_above_the_bar() -> None:
    found = trust(measured(*[1.0] * 6, 0.0), groups=28)
    assert found.accuracy == pytest.approx(6 / 7)
    assert found.bound is not None
    assert found.low is not None
    assert found.low < found.bound
    assert found.bound > 0.55
    assert found.contributes
    assert found.values(measured())["bins"] == [{"sure": 0.7, "right": 0.8, "pairs": 12}]


def test_it_says_about_how_many_more_it_takes() -> None:
    """0.6 of 10 groups: the bound passes 0.55 at a number of groups that Wilson gives."""
    found = trust(measured(*[1.0] * 6, *[0.0] * 4), groups=40)
    assert not found.contributes
    assert found.sentence.startswith("It orders 60 % of unseen pairs as people do")
    more = int(found.sentence.rsplit("about ", 1)[1].split()[0])
    assert 150 < more < 400  # 70 groups at random and their three fellows each


def test_chance_says_that_more_of_the_same_may_not_help() -> None:
    found = trust(measured(*[1.0] * 5, *[0.0] * 5), groups=40)
    assert found.sentence.endswith(
        "judge more groups, or by one thing alone, so that it can be learned."
    )
