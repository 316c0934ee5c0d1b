"""How much each source of reward counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from loop_studio.errors import Invalid
from loop_studio.judgement import LEARNED


@dataclass(frozen=True)
class RewardWeights:
    """How much each source counts; checked by `checked`."""

    human: float = 1.0
    models: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, dict[str, str]] = field(default_factory=dict)  # by model

    def values(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "human": self.human,
            "models": dict(self.models),
            "parameters": {name: dict(values) for name, values in self.parameters.items()},
        }

    def sources(self) -> dict[str, dict[str, str]]:
        """The reward models that count, and their parameters.

        They score alike whenever they are asked; the reward learned from ratings, which counts
        once it has proved itself and changes as it learns, is none of them.
        """
        return {
            name: self.parameters.get(name, {})
            for name, weight in self.models.items()
            if weight > 0 and name != LEARNED
        }

    def checked(self) -> RewardWeights:
        """These weights; Invalid unless all are finite and >= 0 and one is > 0."""
        named = {"human": self.human, **self.models}
        for name, weight in named.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise Invalid(f"The weight of {name} must be a number of 0 or more.")
        if not any(named.values()):
            raise Invalid("One of the reward weights must be above 0.")
        return self

    @property
    def automatic_only(self) -> bool:
        """Whether nobody's ratings are asked for."""
        return self.human == 0

    @property
    def asks_people(self) -> bool:
        """Whether ratings teach anything: the model itself, or the reward that it learns from."""
        return not self.automatic_only or self.models.get(LEARNED, 0.0) > 0
