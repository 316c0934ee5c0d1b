"""How far raters agree, with each other and with themselves. No database: judgements in, figures
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import isnan
from statistics import fmean
from typing import Literal

import krippendorff
import numpy as np

Best = frozenset[int]  # positions of the best pictures; empty where all were judged equal
Level = Literal["nominal", "ordinal"]

# On which scale each gesture's values may be compared between raters. Stars and ranks are ordered,
# but one rater's step from 2 to 3 is not another's from 4 to 5, so nothing more is read from them.
LEVELS: dict[str, Level] = {"stars": "ordinal", "rank": "ordinal", "good": "nominal"}


def best_of(rewards: Sequence[float | None]) -> Best:
    """Positions of the highest reward, whatever the gesture; (k,) rewards, None is not judged."""
    judged = [reward for reward in rewards if reward is not None]
    if len(set(judged)) < 2:
        return frozenset()
    return frozenset(place for place, reward in enumerate(rewards) if reward == max(judged))


def category(best: Best) -> int:
    """The best picture as a nominal category: its position, or -1 where no single one is best."""
    return next(iter(best)) if len(best) == 1 else -1


def agreeing(bests: Sequence[Best]) -> float:
    """Share of the pairs of raters of one group who name the same best; two raters or more.

    One number per group: pairs within a group share a rater and are no independent observations.
    """
    return fmean(one == other for one, other in combinations(bests, 2))


def alpha(units: Sequence[Sequence[float]], level: Level) -> float | None:
    """Krippendorff's alpha over units of one value per rater; units may differ in their raters.

    1 is full agreement, 0 what chance alone gives, below 0 worse than chance. Nominal: values are
    the same or not, as with the best picture, whose positions have no order. Ordinal: they have
    one, and distance counts what lies between (stars, ranks). None while all values are equal or
    no unit has two. Source: Krippendorff, Content Analysis, by the library of that name.
    """
    domain = sorted({value for unit in units for value in unit})
    if len(domain) < 2 or all(len(unit) < 2 for unit in units):
        return None
    counts = np.array([[unit.count(value) for value in domain] for unit in map(list, units)])
    found = krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement=level)
    return None if isnan(found) else float(found)
