"""How far an update is, and what it does when memory or the range of its numbers runs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from loop_studio.rl.tally import Tally

Pass = Literal["late", "reference", "training"]


@dataclass(frozen=True)
class Progress:
    """A micro-batch or an optimizer step is done; `metrics` and `tally` come with the latter."""

    step: int  # transitions done, over all passes
    steps: int
    micro_batch: int  # transitions that go through the model at once
    left: dict[Pass, int]  # transitions to come of each kind of pass: they are not equally quick
    metrics: dict[str, float] | None = None
    tally: Tally | None = None


@dataclass
class Course:
    """How far an update is, and how many transitions go through the model at once."""

    left: dict[Pass, int]
    size: int
    done: int = 0

    def progress(
        self, metrics: dict[str, float] | None = None, tally: Tally | None = None
    ) -> Progress:
        """What is told after a step."""
        rows = self.done + sum(self.left.values())
        return Progress(self.done, rows, self.size, dict(self.left), metrics, tally)

    def go(self, kind: Pass, rows: int) -> None:
        """Some rows forward; back when `rows` is negative."""
        self.done += rows
        self.left[kind] -= rows

    def run(self, kind: Pass, attempt: Callable[[int], Iterator[int]]) -> Iterator[Progress]:
        """Exhaust `attempt(size)`, from its start with half the size whenever memory runs out.

        It yields the number of transitions of each micro-batch.
        """
        start = self.done
        while True:
            try:
                for rows in attempt(self.size):
                    self.go(kind, rows)
                    yield self.progress()
                return
            except torch.OutOfMemoryError:
                if self.size == 1:
                    raise
            self.go(kind, start - self.done)
            self.size //= 2

    def until_finite(
        self, attempt: Callable[[int], Iterator[int]], take_step: Callable[[], float], times: int
    ) -> Generator[Progress, None, float]:
        """Run `attempt` and the step after it, again until the gradient's norm is finite.

        fp16's scaler halves its scale each time. Returns the last norm.
        """
        start, norm = self.done, math.nan
        for _ in range(times):
            self.go("training", start - self.done)
            yield from self.run("training", attempt)
            norm = take_step()
            if math.isfinite(norm):
                break
        return norm
