"""From a rater's gesture to the advantages that an update learns from. No torch: the web
process shows a rater's push with the very functions that the update uses.

A judgement is one (group, source, rater): rewards over the m >= 2 images that were judged.
Rewards are never pooled across raters or sources before they are centred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from loop_studio.errors import Invalid

Gesture = Literal["best", "stars", "good", "rank", "pair", "skip"]
MAPPING_VERSION = 1
LEARNED = "learned"  # the source whose scores say how people are expected to judge
LEARNED_FROM = 8  # judged groups, before anything is learned
LEARNED_BAR = 0.55  # of the pairs in unseen groups that it must order rightly; chance is 0.5
RELATIVE: frozenset[str] = frozenset({"best", "rank", "pair", "group_score"})

_ALLOWED: dict[str, tuple[frozenset[float], str]] = {
    "best": (frozenset({0.0, 0.5, 1.0}), "1 (chosen), 0.5 (also good) or 0 (not)"),
    "pair": (frozenset({0.0, 0.5, 1.0}), "1 (chosen), 0.5 (equally good) or 0 (not)"),
    "stars": (frozenset({1.0, 2.0, 3.0, 4.0, 5.0}), "whole stars from 1 to 5"),
    "good": (frozenset({0.0, 1.0}), "1 (good) or 0 (not)"),
}


def leave_one_out(rewards: Sequence[float]) -> list[float]:
    """A_i = r_i - mean of the others = m/(m-1) (r_i - mean r), in float64; (m,) -> (m,).

    Unbiased at ratio 1 because the baseline of image i does not depend on image i. Never divided
    by the group's own standard deviation, which would turn tiny differences into full signals.
    Raises ValueError below two rewards: a lone image has no baseline. Source: RLOO (Kool et al.
    2019; Ahmadian et al. 2024), the baseline that LOOP's abstract (arXiv 2503.00897) names.
    """
    m = len(rewards)
    if m < 2:
        raise ValueError("leave-one-out needs at least two rewards")
    if len(set(rewards)) == 1:
        return [0.0] * m
    mean = fmean(rewards)
    return [m / (m - 1) * (reward - mean) for reward in rewards]


def group_centred(rewards: Sequence[float]) -> list[float]:
    """A_i = r_i - mean r, in float64; (m,) -> (m,). For relative gestures (best, rank).

    There r_i already depends on the other images, so the objective is the chance of being
    preferred to them. Raises ValueError below two rewards.
    """
    m = len(rewards)
    if m < 2:
        raise ValueError("centring needs at least two rewards")
    if len(set(rewards)) == 1:
        return [0.0] * m
    mean = fmean(rewards)
    return [reward - mean for reward in rewards]


@dataclass(frozen=True)
class Derived:
    """What a judgement is worth: rewards in [0, 1] and advantages per image; None: not judged.

    `reason` says in one sentence why there is no learning signal; empty when usable.
    """

    rewards: dict[str, float | None]
    advantages: dict[str, float | None]
    usable: bool
    reason: str


def check_gesture(mode: str, judgement: Mapping[str, float | None], images: Sequence[str]) -> None:
    """Raise Invalid with one sentence unless `judgement` is a gesture of `mode` on `images`."""
    strangers = [image for image in judgement if image not in images]
    if strangers:
        raise Invalid(f"Image {strangers[0]} does not belong to this group.")
    if mode == "skip":
        if judgement:
            raise Invalid("A skip has an empty judgement.")
        return
    values = [value for value in judgement.values() if value is not None]
    if not values:
        raise Invalid("The judgement is empty; judge at least one image, or send a skip.")
    _check_values(mode, values, len(images))


def _check_values(mode: str, values: Sequence[float], k: int) -> None:
    places = frozenset(float(place) for place in range(1, k + 1))
    gestures = {**_ALLOWED, "rank": (places, f"a whole rank from 1 (best) to {k}")}
    if mode not in gestures:
        raise Invalid(f"There is no mode {mode!r}; it is one of {', '.join(gestures)} or skip.")
    allowed, wanted = gestures[mode]
    if any(value not in allowed for value in values):
        raise Invalid(f"In mode {mode}, a value is {wanted}.")
    if mode in {"best", "pair"} and values.count(1.0) > 1:
        raise Invalid("Only one image can be chosen as the best; mark others as also good (0.5).")
    if mode == "pair" and k != 2:
        raise Invalid("A pair judgement needs a group of two images.")


def derive(mode: str, judgement: Mapping[str, float | None], images: Sequence[str]) -> Derived:
    """Rewards (mapping version 1, all in [0, 1]) and advantages of one checked gesture."""
    values = {image: judgement.get(image) for image in images}
    judged = {image: value for image, value in values.items() if value is not None}
    rewards = _rewards(mode, judged)
    nothing: dict[str, float | None] = dict.fromkeys(images)
    mapped = {image: rewards.get(image) for image in images}
    if mode == "skip":
        return Derived(nothing, nothing, usable=False, reason="Skipped: nothing was judged.")
    if len(judged) < 2:
        return Derived(
            mapped, nothing, usable=False, reason="No learning signal: judge at least two images."
        )
    pushes = advantages(mode, list(rewards.values()))
    pushed = {**nothing, **dict(zip(rewards, pushes, strict=True))}
    if not any(pushes):
        return Derived(
            mapped, pushed, usable=False, reason="No learning signal: all images are judged equal."
        )
    return Derived(mapped, pushed, usable=True, reason="")


def advantages(mode: str, rewards: Sequence[float]) -> list[float]:
    """Advantages of one judgement: group-centred for relative gestures, else leave-one-out.

    `mode` is a gesture, or `score` for an automatic source; `group_score` where that source sees
    the whole group.
    """
    return group_centred(rewards) if mode in RELATIVE else leave_one_out(rewards)


def too_few_to_learn(groups: int) -> str:
    """Why no reward is learned from so many judged groups; empty if there are enough."""
    more = LEARNED_FROM - groups
    if more <= 0:
        return ""
    words = "group" if more == 1 else "groups"
    return (
        f"A reward is learned from {LEARNED_FROM} judged groups or more: judge {more} more {words}."
    )


def _rewards(mode: str, judged: Mapping[str, float]) -> dict[str, float]:
    if mode == "stars":
        return {image: (stars - 1.0) / 4.0 for image, stars in judged.items()}
    if mode == "rank":
        return _rank_rewards(judged)
    return dict(judged)


def _rank_rewards(judged: Mapping[str, float]) -> dict[str, float]:
    """(m - average rank) / (m - 1): ties share the mean of the places they fill."""
    m = len(judged)
    if m < 2:
        return dict.fromkeys(judged, 0.0)
    ranks = list(judged.values())
    average = {
        rank: sum(other < rank for other in ranks) + (ranks.count(rank) + 1) / 2
        for rank in set(ranks)
    }
    return {image: (m - average[rank]) / (m - 1) for image, rank in judged.items()}
