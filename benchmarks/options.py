"""Options that make an update cheaper, compared by what they teach per second of processor time.

    python -m benchmarks.options --plan      what is left, and about how long it takes
    python -m benchmarks.options --all       every unit not yet there
    python -m benchmarks.options --report    the table

Twenty updates of 8 best-of-4 groups each, on time, as in benchmarks.late_ratings; the gain is the
share of 400 fresh pictures that satisfy the taste, after against before, and the time is that of
rollouts and updates alone. One (option, seed) is a unit and writes one small JSON.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.late_ratings import CONFIG, MINUTES, Unit, run_unit

RESULTS = Path(__file__).parent / "results" / "options"
SEEDS = range(3)
OPTIONS = {
    "the three noisiest of ten steps": CONFIG,
    "conditional gradient": replace(CONFIG, guidance_gradient="conditional"),
    "two steps drawn of ten": replace(CONFIG, trained_steps="random", trained_fraction=0.2),
    "guidance 1": replace(CONFIG, guidance_scale=1.0),
}


def file_of(option: str, seed: int) -> Path:
    """Where a unit's result lies."""
    return RESULTS / f"{option.replace(' ', '_')}-{seed}.json"


def report() -> None:
    """Gain with the lowest and highest of the seeds, and gain per minute of processor time."""
    print("| option | seeds | before | gain (range) | processor time | points per minute |")
    print("|---|---|---|---|---|---|")
    for option in OPTIONS:
        files = [file_of(option, seed) for seed in SEEDS]
        rows = [json.loads(file.read_text()) for file in files if file.exists()]
        if not rows:
            continue
        gains = 100 * np.array([row["gain"] for row in rows])
        minutes = float(np.mean([row["learning_cpu_s"] for row in rows])) / 60
        before = np.mean([row["share_before"] for row in rows])
        print(
            f"| {option} | {len(rows)} | {before:.0%} | {gains.mean():+.1f} "
            f"({gains.min():+.1f} to {gains.max():+.1f}) | {minutes:.1f} min | "
            f"{gains.mean() / minutes:.1f} |"
        )


def main() -> None:
    """Plan, run or report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("plan", "all", "report"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    units = [(option, seed) for seed in SEEDS for option in OPTIONS]
    left = [(option, seed) for option, seed in units if not file_of(option, seed).exists()]
    if options.plan:
        print(f"{len(left)} units left, about {len(left) * MINUTES / 60:.1f} hours one at a time")
    for option, seed in left if options.all else []:
        result = run_unit(Unit("stored", 0, seed), OPTIONS[option])
        RESULTS.mkdir(parents=True, exist_ok=True)
        file_of(option, seed).write_text(json.dumps(result, indent=1) + "\n")
        print(f"{option}, seed {seed}: {result['gain']:+.1%}", flush=True)
    if options.report:
        report()


if __name__ == "__main__":
    main()
