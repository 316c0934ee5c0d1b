"""Shares and means with intervals, as the pages and the model card show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, sqrt
from statistics import fmean, stdev


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

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Wilson's score interval, 0 to 1, by scipy; halves lie between whole hits."""
        if self.total == 0:
            return 0.0, 1.0
        whole = floor(self.hits)
        part = self.hits - whole
        low, high = _wilson(whole, self.total, level)
        if part:
            next_low, next_high = _wilson(whole + 1, self.total, level)
            low, high = low + part * (next_low - low), high + part * (next_high - high)
        return low, high

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{100 * self.value:.1f} % ({100 * low:.1f} to {100 * high:.1f}, n = {self.total})"


@dataclass(frozen=True)
class Mean:
    """A mean of `n` observations with their standard deviation."""

    value: float
    sd: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """The mean of one observation or more."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else 0.0, len(values))

    def interval(self) -> tuple[float, float] | None:
        """Student's t interval at 95 %; None from a single observation."""
        if self.n < 2:
            return None
        from scipy.special import stdtrit  # noqa: PLC0415  (as below)

        half = float(stdtrit(self.n - 1, 0.975)) * self.sd / sqrt(self.n)
        return self.value - half, self.value + half


def _wilson(hits: int, total: int, level: float) -> tuple[float, float]:
    from scipy.stats import binomtest  # noqa: PLC0415  (a second to load: no start waits for it)

    interval = binomtest(hits, total).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)
