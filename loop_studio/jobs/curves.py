"""What an update measures on its way, in columns: by optimizer step and by denoising step."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field

from loop_studio.rl.course import Progress
from loop_studio.rl.tally import OfTimestep
from loop_studio.storage.curves import Curves

SAMPLES_PER_S = "time/samples_per_s"  # denoising steps trained per second


@dataclass
class Recorder:
    """Follows an update; each optimizer step becomes an entry of every column."""

    steps: list[dict[str, float]] = field(default_factory=list)
    timesteps: dict[int, OfTimestep] = field(default_factory=lambda: defaultdict(OfTimestep))
    _began: float = field(default_factory=time.monotonic)
    _done: int = 0

    def follow(self, progress: Progress) -> None:
        """Take note of a step of the update."""
        if progress.tally is None:
            return
        now = time.monotonic()
        speed = (progress.step - self._done) / max(now - self._began, 1e-6)
        self._began, self._done = now, progress.step
        self.steps.append((progress.metrics or {}) | {SAMPLES_PER_S: speed})
        for timestep, sums in progress.tally.timesteps.items():
            self.timesteps[timestep].add(sums.log_ratio_nats, sums.kl_to_base, sums.rows)

    def curves(self) -> Curves:
        """The columns. Numbers keep six digits: enough to draw, half the bytes."""
        names = dict.fromkeys(name for step in self.steps for name in step)
        steps = {name: [_short(step.get(name)) for step in self.steps] for name in names}
        known = sorted(self.timesteps.items(), reverse=True)  # as they are sampled: noisiest first
        return Curves(
            steps=steps,
            timesteps={
                "timestep": [timestep for timestep, _ in known],
                "log_ratio_nats": [_short(sums.log_ratio_nats / sums.rows) for _, sums in known],
                "kl_to_base": [_short(sums.kl_to_base / sums.rows) for _, sums in known],
            },
        )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
