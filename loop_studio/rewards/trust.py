"""When a learned reward may be believed: measured on groups it has not seen, or not yet at all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from loop_studio.judgement import LEARNED_BAR, too_few_to_learn
from loop_studio.rewards.learned import Judgement, Validation, tells
from loop_studio.shares import Share

LEAST_TELLING = 4  # of their judgements that prefer one picture to another
LEAST_HELD_OUT = 5  # groups served at random, before it is measured
_TWO_SIDED = 0.6  # an interval whose lower end is the one-sided 80 % bound
_MOST = 150  # groups served at random: what needs more is not worth waiting for


@dataclass(frozen=True)
class Trust:
    """How often the reward orders two pictures of an unseen group as the rater did."""

    held_out: int  # groups behind it
    accuracy: float | None
    low: float | None  # 95 % interval
    high: float | None
    bound: float | None  # lower one-sided 80 % bound
    sentence: str  # what is still missing; empty once it contributes

    @property
    def contributes(self) -> bool:
        """Whether updates may learn from it."""
        return not self.sentence

    def values(self, validation: Validation) -> dict[str, Any]:
        """JSON values, with the bins of the calibration plot."""
        bins = [{"sure": b.sure, "right": b.right, "pairs": b.pairs} for b in validation.bins]
        return {
            "held_out": self.held_out,
            "accuracy": self.accuracy,
            "low": self.low,
            "high": self.high,
            "bound": self.bound,
            "bins": bins,
        }


def lacking(judgements: Sequence[Judgement]) -> str:
    """Why nothing can be learned yet; empty if it can."""
    if sentence := too_few_to_learn(len({one.group for one in judgements})):
        return sentence
    telling = sum(map(tells, judgements))
    if telling >= LEAST_TELLING:
        return ""
    return (
        f"{telling} of {len(judgements)} judgements prefer one picture to another, and "
        f"{LEAST_TELLING} are needed: choose the better picture in a few more groups."
    )


def trust(validation: Validation, groups: int) -> Trust:
    """What leaving out groups has shown; `groups` is how many were judged in all."""
    share = Share.of(validation.by_group)
    if share.total < LEAST_HELD_OUT:
        more = _ratings(LEAST_HELD_OUT - share.total, share.total, groups)
        sentence = f"It has been tested on {share.total} groups, and {LEAST_HELD_OUT} are needed"
        return Trust(share.total, None, None, None, None, f"{sentence}: judge about {more} more.")
    low, high = share.interval()
    bound = share.interval(_TWO_SIDED)[0]
    return Trust(share.total, share.value, low, high, bound, _still(share, bound, groups))


def _still(share: Share, bound: float, groups: int) -> str:
    if bound > LEARNED_BAR:
        return ""
    right = f"It orders {100 * share.value:.0f} % of unseen pairs as people do; a coin orders 50 %"
    enough = share.total + bisect_right(
        range(share.total, _MOST), LEARNED_BAR, key=lambda groups: _bound(share.value, groups)
    )
    if enough >= _MOST:
        return f"{right}: judge more groups, or by one thing alone, so that it can be learned."
    more = _ratings(max(1, enough - share.total), share.total, groups)
    return f"{right}; that may still be luck. Judge about {more} more groups."


def _bound(accuracy: float, groups: int) -> float:
    return Share(accuracy * groups, groups).interval(_TWO_SIDED)[0]


def _ratings(held_out: int, so_far: int, groups: int) -> int:
    """Groups to judge for so many more that are served at random: one in four, or as seen."""
    return ceil(held_out / max(0.25, so_far / groups))
