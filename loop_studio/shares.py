"""Shares with intervals, as the pages and the model card show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor


@dataclass(frozen=True)
class Share:
    """How many of how many, with a 95 % interval; a half may count as half a hit."""

    hits: float
    total: int

    @classmethod
    def of(cls, parts: Iterable[float]) -> Share:
        """The share of observations that each are a hit, 1, a miss, 0, or something between."""
        listed = list(parts)
        return cls(sum(listed), len(listed))

    @property
    def value(self) -> float:
        """0 to 1; 0 of 0 is 0."""
        return self.hits / self.total if self.total else 0.0

    def interval(self) -> tuple[float, float]:
        """Wilson's score interval at 95 %, 0 to 1, by scipy; halves lie between whole hits."""
        if self.total == 0:
            return 0.0, 1.0
        whole = floor(self.hits)
        part = self.hits - whole
        low, high = _wilson(whole, self.total)
        if part:
            next_low, next_high = _wilson(whole + 1, self.total)
            low, high = low + part * (next_low - low), high + part * (next_high - high)
        return low, high

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{100 * self.value:.1f} % ({100 * low:.1f} to {100 * high:.1f}, n = {self.total})"


def _wilson(hits: int, total: int) -> tuple[float, float]:
    from scipy.stats import binomtest  # noqa: PLC0415  (a second to load: no start waits for it)

    interval = binomtest(hits, total).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
