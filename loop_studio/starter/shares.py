"""Shares with intervals, as the model card prints them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """How many of how many, with a 95 % interval."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """0 to 1; 0 of 0 is 0."""
        return self.hits / self.total if self.total else 0.0

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson's score interval, 0 to 1."""
        if self.total == 0:
            return 0.0, 1.0
        n, p = self.total, self.value
        centre = p + z * z / (2 * n)
        spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{100 * self.value:.1f} % ({100 * low:.1f} to {100 * high:.1f}, n = {self.total})"
