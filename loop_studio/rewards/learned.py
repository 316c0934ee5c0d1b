"""A reward model learned from judgements: a linear utility on features of picture and prompt.

A judgement is a set of choices. In each, one thing was preferred to others: P(i) is proportional to
exp(u_i) (Luce's choice rule; with two things Bradley-Terry, along a ranking Plackett-Luce). Beside
the pictures stands an outside option, "none is good", with a utility of its own. The likelihood is
concave in the weights and the prior is Gaussian, so each fit has one optimum.

Pure functions on arrays; nothing here reads a picture or a row. N pictures, D features, M members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

Array = NDArray[np.float64]

OUTSIDE = -1  # "none is good", among the places of a group's pictures
PRIOR_SD = 2.0  # of utilities within a group, before any judgement
OUTSIDE_SD = 5.0  # of the outside option's utility
MEMBERS = 16
FOLDS = 10
BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

Choice = tuple[int, tuple[int, ...]]  # what was chosen, and all there was, the chosen one included


@dataclass(frozen=True)
class Judgement:
    """One rater's judgement of one group: rewards in [0, 1] of pictures, by row of the features."""

    group: str
    mode: str
    rows: tuple[int, ...]
    rewards: tuple[float, ...]
    at_random: bool = False  # the group was served without a look at what the model thinks of it


@dataclass(frozen=True)
class Standard:
    """Features brought to one scale: pictures of a group are about 1 apart, whatever D is."""

    mean: Array  # (D,)
    scale: Array  # (D,)

    def __call__(self, features: Array) -> Array:
        """(N, D) to (N, D)."""
        return (features - self.mean) * self.scale


@dataclass(frozen=True)
class Fit:
    """What the judgements taught: utilities, and how far they are to be believed."""

    standard: Standard
    weights: Array  # (D,) of the likeliest utility; pictures of a group differ by about 1 in it
    threshold: float  # utility of the outside option, on the same scale
    members: Array  # (M, D): others that the judgements leave possible, on the scale of choices

    def utilities(self, features: Array) -> Array:
        """Reward of each picture: (N, D) to (N,)."""
        return self.standard(features) @ self.weights

    def spread(self, features: Array) -> Array:
        """Utilities of each picture by each member, (M, N)."""
        return self.members @ self.standard(features).T


def choices(mode: str, rewards: Sequence[float]) -> list[Choice]:
    """What a judgement preferred to what, by place in the group; empty where it says nothing.

    Each thing is chosen from itself and all that stood below it, so ties are not counted. Only
    `best` and `good` say whether a picture is good: a best one is better than none, and where all
    are 0 none is.
    """
    standing = dict(enumerate(rewards))
    if mode == "good" or (mode == "best" and not any(rewards)):
        standing[OUTSIDE] = 0.5
    elif mode == "best" and len(set(rewards)) > 1:
        standing[OUTSIDE] = 0.0
    found = []
    for thing, level in standing.items():
        below = tuple(other for other, lower in standing.items() if lower < level)
        if below:
            found.append((thing, (thing, *below)))
    return found


class Choices:
    """All choices of some judgements as flat arrays, and their likelihood."""

    def __init__(self, judgements: Sequence[Judgement], pictures: int) -> None:
        of: list[int] = []  # judgement of each choice
        chosen: list[int] = []
        sets: list[list[int]] = []
        for number, judgement in enumerate(judgements):
            rows = {**dict(enumerate(judgement.rows)), OUTSIDE: pictures}
            for thing, among in choices(judgement.mode, judgement.rewards):
                of.append(number)
                chosen.append(rows[thing])
                sets.append([rows[other] for other in among])
        self.of = np.array(of, int)
        self.chosen = np.array(chosen, int)
        self.members = np.array([row for one in sets for row in one], int)
        self.sizes = np.array([len(one) for one in sets], int)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(int)

    def negative_log_likelihood(self, utilities: Array, counts: Array) -> tuple[float, Array]:
        """Its value and gradient; `utilities` (N + 1,) end with the outside option's.

        `counts` says how often each choice is counted.
        """
        members = utilities[self.members]
        highest = np.maximum.reduceat(members, self.starts)
        shifted = np.exp(members - np.repeat(highest, self.sizes))
        sums = np.add.reduceat(shifted, self.starts)
        value = counts @ (highest + np.log(sums) - utilities[self.chosen])
        parts = shifted * np.repeat(counts / sums, self.sizes)
        expected = np.bincount(self.members, parts, len(utilities)).astype(float)
        return float(value), expected - np.bincount(self.chosen, counts, len(utilities))


def standard_of(features: Array, judgements: Sequence[Judgement]) -> Standard:
    """The scale on which pictures of one judged group are about 1 apart, all features alike."""
    own = [features[list(judgement.rows)] for judgement in judgements]
    centred = np.concatenate([group - group.mean(0) for group in own])
    within = np.sqrt((centred**2).mean(0))
    steady = within + 0.1 * np.median(within) + 1e-9  # what hardly varies shall not count most
    return Standard(features.mean(0), 1.0 / (steady * np.sqrt(features.shape[1])))


@dataclass(frozen=True)
class _Problem:
    """Judgements of pictures with standard features, ready to be fitted."""

    features: Array  # (N, D), standard
    judgements: Sequence[Judgement]

    @cached_property
    def choices(self) -> Choices:
        return Choices(self.judgements, len(self.features))

    def solve(self, counts: Array, prior: Array) -> Array:
        """Weights and threshold (D + 1,) of highest posterior; `counts` by judgement.

        The prior of the weights is Gaussian around `prior` (D,).
        """
        by_choice = counts[self.choices.of]
        centre = np.append(prior, 0.0)
        precision = np.full(len(centre), PRIOR_SD**-2)
        precision[-1] = OUTSIDE_SD**-2

        def objective(point: Array) -> tuple[float, Array]:
            utilities = np.append(self.features @ point[:-1], point[-1])
            value, slope = self.choices.negative_log_likelihood(utilities, by_choice)
            away = point - centre
            gradient = np.append(slope[:-1] @ self.features, slope[-1]) + precision * away
            return value + 0.5 * float(precision @ away**2), gradient

        found: Array = minimize(objective, centre, jac=True, method="L-BFGS-B").x
        return found


def fit(features: Array, judgements: Sequence[Judgement], seed: int) -> Fit:
    """The most likely utility, and an ensemble that says where the judgements leave it open.

    Each member sees a bootstrap sample of the groups and is drawn to weights of its own from the
    prior, in pairs that mirror each other: where nothing was judged, members differ as the prior
    does. Raises ValueError where no judgement tells pictures apart.
    """
    standard = standard_of(features, judgements)
    problem = _Problem(standard(features), judgements)
    if not any(map(tells, judgements)):
        raise ValueError("no judgement tells pictures apart")
    best = problem.solve(np.ones(len(judgements)), np.zeros(features.shape[1]))
    draws = np.random.default_rng(seed)
    members = []
    for _ in range(MEMBERS // 2):
        counts = _bootstrap(judgements, draws)
        prior = np.asarray(PRIOR_SD * draws.standard_normal(features.shape[1]))
        members += [problem.solve(counts, sign * prior)[:-1] for sign in (1.0, -1.0)]
    scale = _within_group_sd(problem.features @ best[:-1], judgements)
    return Fit(standard, best[:-1] / scale, float(best[-1] / scale), np.array(members))


def _bootstrap(judgements: Sequence[Judgement], draws: np.random.Generator) -> Array:
    """How often each judgement counts when its groups are drawn with replacement."""
    groups = {judgement.group: 0 for judgement in judgements}
    order = {group: number for number, group in enumerate(groups)}
    drawn = np.bincount(draws.integers(len(groups), size=len(groups)), minlength=len(groups))
    return np.array([float(drawn[order[judgement.group]]) for judgement in judgements])


def _within_group_sd(utilities: Array, judgements: Sequence[Judgement]) -> float:
    squares, freedom = 0.0, 0
    for rows in {judgement.group: list(judgement.rows) for judgement in judgements}.values():
        squares += float(((utilities[rows] - utilities[rows].mean()) ** 2).sum())
        freedom += len(rows) - 1
    return max(float(np.sqrt(squares / freedom)), 1e-9)


@dataclass(frozen=True)
class Bin:
    """Pairs about which the model was about as sure: how sure, and how often it was right."""

    sure: float
    right: float
    pairs: int


@dataclass(frozen=True)
class Validation:
    """How well the reward orders pictures of groups that it has not seen."""

    by_group: tuple[float, ...]  # share of the pairs of each group that it orders as the rater did
    bins: tuple[Bin, ...]


def validate(features: Array, judgements: Sequence[Judgement]) -> Validation:
    """Leave groups out, predict their pairs from all the others; of groups served at random alone.

    A group that was chosen because the model was unsure of it would make the model look worse
    than it is, or better: it only ever helps to fit.
    """
    groups = list(dict.fromkeys(one.group for one in judgements if one.at_random and tells(one)))
    by_group: dict[str, list[float]] = {group: [] for group in groups}
    sure: list[float] = []
    right: list[float] = []
    folds = min(FOLDS, len(groups))
    for fold in range(folds):
        left_out = set(groups[fold::folds])
        seen = [one for one in judgements if one.group not in left_out]
        if not any(map(tells, seen)):
            continue
        standard = standard_of(features, seen)
        weights = _Problem(standard(features), seen).solve(
            np.ones(len(seen)), np.zeros(features.shape[1])
        )[:-1]
        utilities = standard(features) @ weights
        for one in judgements:
            if one.group in left_out and one.at_random and tells(one):
                ahead = _leads(utilities, one)
                by_group[one.group].append(float(np.mean(np.heaviside(ahead, 0.5))))
                sure += expit(np.abs(ahead)).tolist()
                right += np.heaviside(ahead, 0.5).tolist()
    shares = tuple(float(np.mean(shares)) for shares in by_group.values() if shares)
    return Validation(shares, _bins(np.array(sure), np.array(right)))


def tells(judgement: Judgement) -> bool:
    """Whether it prefers one picture to another."""
    return len(set(judgement.rewards)) > 1


def _leads(utilities: Array, judgement: Judgement) -> Array:
    """By how much the preferred picture of each pair is ahead."""
    judged = list(zip(judgement.rows, judgement.rewards, strict=True))
    pairs = [(row, other) for row, high in judged for other, low in judged if high > low]
    return np.array([utilities[row] - utilities[other] for row, other in pairs])


def _bins(sure: Array, right: Array) -> tuple[Bin, ...]:
    found = []
    for low, high in pairwise(BINS):
        inside = (sure >= low) & ((sure < high) | (high == BINS[-1]))
        if inside.any():
            share, hits = float(sure[inside].mean()), float(right[inside].mean())
            found.append(Bin(share, hits, int(inside.sum())))
    return tuple(found)


def disagreement(utilities: Array) -> float:
    """How much a judgement of the group would tell which of the members is right, in nats.

    (M, k) utilities of k pictures by M members. The mutual information of the best picture and the
    member: 0 when all agree, however unsure each is. Source: BALD (Houlsby et al. 2011).
    """
    each = log_softmax(utilities, axis=1)
    mixed = softmax(utilities, axis=1).mean(0)
    entropy = -(mixed * np.log(mixed + 1e-300)).sum()
    return max(0.0, float(entropy + (np.exp(each) * each).sum(1).mean()))
