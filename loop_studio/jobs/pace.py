"""How fast an update gets on, and when it will be done.

Its passes differ in speed: those without a gradient take less than half as long per transition.
So each kind is timed by itself, on its newest half, for raters who are served in between come and
go. A kind that has not begun yet is taken to be as quick as in the project's last update, or else
to cost what the others do, by the ratio below.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from loop_studio.rl.course import Pass

# Of one transition: a backward pass takes half as long again as a forward pass.
COSTS: Mapping[Pass, float] = {"late": 1.0, "reference": 1.0, "training": 2.5}
SHOWN_AFTER = 10  # steps
_ENOUGH = 3  # steps of one kind that say more about it than the others' do

Step = tuple[int, float]  # transitions and seconds


class Pace:
    """The steps of one update, as they are seen; `past` are seconds per transition of before."""

    def __init__(self, past: Mapping[str, float] | None = None) -> None:
        self._past = past or {}
        self._steps: dict[Pass, list[Step]] = defaultdict(list)
        self._left: dict[Pass, int] = {}
        self._at = 0.0

    def see(self, left: Mapping[Pass, int], at: float) -> None:
        """Transitions left of each kind at a moment, after a step; going back starts anew."""
        moved = [kind for kind in left if self._left.get(kind, 0) > left[kind]]
        for kind in moved[:1]:
            self._steps[kind].append((self._left[kind] - left[kind], at - self._at))
        if moved or dict(left) != self._left:
            self._left, self._at = dict(left), at

    def eta_s(self) -> float | None:
        """Seconds left; None before enough steps were seen."""
        if sum(map(len, self._steps.values())) < SHOWN_AFTER:
            return None
        return sum(left * self._seconds(kind) for kind, left in self._left.items() if left)

    def samples_per_s(self) -> float | None:
        """Transitions trained per second of late; None before enough steps were seen."""
        steps = self._steps["training"]
        return 1.0 / _mean(_newest(steps)) if len(steps) >= _ENOUGH else None

    def seconds(self) -> dict[str, float]:
        """Seconds per transition of every kind that was seen, for the updates that follow."""
        return {kind: _mean(steps) for kind, steps in self._steps.items() if steps}

    def _seconds(self, kind: Pass) -> float:
        """Of one transition of this kind."""
        own = self._steps[kind]
        if len(own) >= _ENOUGH:
            return _mean(_newest(own))
        if kind in self._past:
            return self._past[kind]
        others = [
            (rows * COSTS[other], seconds)
            for other, steps in self._steps.items()
            for rows, seconds in _newest(steps)
        ]
        return COSTS[kind] * sum(s for _, s in others) / sum(rows for rows, _ in others)


def _newest(steps: Sequence[Step]) -> Sequence[Step]:
    return steps[-max(SHOWN_AFTER, len(steps) // 2) :]


def _mean(steps: Sequence[Step]) -> float:
    return max(sum(seconds for _, seconds in steps), 1e-9) / sum(rows for rows, _ in steps)
