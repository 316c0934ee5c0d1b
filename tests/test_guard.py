"""The guard's two alarms, on worked examples."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from loop_studio.guard import Figures, GuardLimits, Spread, collapse, hacking, strains

LIMITS = GuardLimits(
    guard_broken=0.25, guard_diversity=0.5, guard_reward=2.0, guard_kl=10.0, hacking_fall=0.5
)
BASE = Figures(16, 0.0, 0.2, 0.0, {"fit": Spread(10.0, 2.0), "shine": Spread(0.5, 0.1)})


def version(kl: float = 1.0, **changes: object) -> Figures:
    rewards = dict(BASE.rewards)
    for name in ("fit", "shine"):
        if name in changes:
            rewards[name] = Spread(float(changes.pop(name)), 1.0)  # type: ignore[arg-type]
    return replace(BASE, kl_to_base=kl, rewards=rewards, **changes)  # type: ignore[arg-type]


def test_strain_is_0_at_version_0_and_1_at_the_limit() -> None:
    at_limit = version(kl=10.0, broken=0.25, diversity=0.1, fit=6.0, shine=0.3)
    assert set(strains(BASE, BASE, [], LIMITS).values()) == {0.0}
    assert strains(at_limit, BASE, [], LIMITS) == pytest.approx(
        {"broken": 1, "diversity": 1, "kl_to_base": 1, "fit": 1, "shine": 1}
    )


def test_a_reward_that_is_trained_on_strains_nothing() -> None:
    assert "fit" not in strains(version(fit=-100.0), BASE, ["fit"], LIMITS)


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (
            version(broken=0.5),
            "8 of 16 probe pictures are blank, blown out or noise; of version 0 it was 0",
        ),
        (version(diversity=0.05), "differ 75 % less than version 0's; the limit is 50 %"),
        (version(kl=12.5), "12.5 nats per step from the base model; the limit is 10"),
        (version(fit=5.0), "Fit, which is not trained on, fell by 2.5 standard deviations"),
    ],
)
def test_each_limit_has_its_sentence(now: Figures, says: str) -> None:
    [sentence] = collapse(now, BASE, BASE, ["shine"], LIMITS)
    assert re.search(says, sentence)


def test_an_ordinary_version_raises_no_alarm() -> None:
    darker_and_closer = version(kl=1.4, diversity=0.15, fit=9.0, broken=1 / 16)
    assert collapse(darker_and_closer, BASE, BASE, [], LIMITS) == []


def test_a_version_that_mends_its_parent_may_pass_a_limit() -> None:
    """Someone made the parent live all the same; what gets better again is not held against it."""
    parent, child = version(fit=3.0), version(fit=5.0)
    assert collapse(child, parent, BASE, [], LIMITS) == []
    assert len(collapse(parent, child, BASE, [], LIMITS)) == 1


GAMED = [
    (1, version(kl=1.0, shine=0.5)),
    (2, version(kl=1.5, shine=0.6, fit=9.0)),
    (3, version(kl=2.0, shine=0.8, fit=7.5, diversity=0.14)),
]


def test_a_reward_that_rises_while_another_falls_is_told() -> None:
    [sentence] = hacking(GAMED, BASE, ["shine"], LIMITS)
    assert sentence.startswith(
        "Since version 1 the training reward (shine) rose by 3.0 standard deviations, while "
        "diversity fell by 30 % and fit fell by 1.2."
    )


def test_the_same_fall_without_a_rise_is_no_hacking() -> None:
    still = {"shine": Spread(0.5, 0.1)}
    flat = [(n, replace(figures, rewards=figures.rewards | still)) for n, figures in GAMED]
    assert hacking(flat, BASE, ["shine"], LIMITS) == []


def test_a_rise_alone_is_what_one_wants() -> None:
    fine = [(n, version(shine=0.5 + n / 10)) for n in range(3)]
    assert hacking(fine, BASE, ["shine"], LIMITS) == []
    [sentence] = hacking(fine, BASE, ["shine"], LIMITS, disliked=[2])
    assert "people prefer the version before version 2" in sentence


def test_peoples_ratings_alone_cannot_be_gamed() -> None:
    assert hacking(GAMED, BASE, [], LIMITS) == []
    assert hacking(GAMED[:1], BASE, ["shine"], LIMITS) == []


def test_figures_outlive_json() -> None:
    assert Figures.from_values(BASE.values()) == BASE
