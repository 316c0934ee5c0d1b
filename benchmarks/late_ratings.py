"""How much of the gain is left when every judgement comes late, by the treatment of late groups.

    python -m benchmarks.late_ratings --plan        what is left, and about how long it takes
    python -m benchmarks.late_ratings --all         every unit not yet there
    python -m benchmarks.late_ratings --report      the table

Update u of 20 trains on 8 best-of-4 groups that version max(0, u - lag) made. The gain is the share
of 400 fresh pictures that satisfy the taste, after against before. One (treatment, lag, seed) is a
unit of about ten minutes; each writes one small JSON as it ends.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from loop_studio.config import ProjectConfig
from loop_studio.diffusion.adapters import State
from loop_studio.diffusion.policy import Rollout, StableDiffusionPolicy
from loop_studio.diffusion.recipe import loop_of, sampler_of, shape_of, step_weighted
from loop_studio.judgement import group_centred
from loop_studio.library import load_policy
from loop_studio.rl.late import LateRatings, Treatment
from loop_studio.rl.types import JudgedGroup
from loop_studio.rl.update import kl_to, train
from loop_studio.starter import eye
from loop_studio.starter.prompts import EVALUATION_PROMPTS, STARTER_PROMPTS

RESULTS = Path(__file__).parent / "results" / "late_ratings"
TASTE = "dark_background"
CONFIG = ProjectConfig(
    num_inference_steps=10, trained_fraction=0.3, learning_rate=2e-3, kl_weight=0.005, kl_budget=10
)
UPDATES, GROUPS = 20, 8
FRESH = tuple(EVALUATION_PROMPTS[:50])
FRESH_SEEDS = range(9_000, 9_008)
RESAMPLES = 10_000
MINUTES = 10.0  # of a unit, one thread


@dataclass(frozen=True)
class Unit:
    """One training run."""

    treatment: Treatment
    lag: int
    seed: int

    @property
    def file(self) -> Path:
        return RESULTS / f"{self.treatment}-{self.lag}-{self.seed}.json"


def units(chosen: Treatment) -> list[Unit]:
    """The protocol: on time, late by 5 in every treatment, late by 1, 2, 10 in two of them."""
    planned = [Unit("stored", 0, seed) for seed in range(5)]
    for treatment in ("stored", "reanchored", "decoupled", "gated"):
        planned += [Unit(treatment, 5, seed) for seed in range(5)]
    for lag in (1, 2, 10):
        for treatment in ("stored", chosen):
            planned += [Unit(treatment, lag, seed) for seed in range(2)]
    return planned


def run_unit(unit: Unit, config: ProjectConfig = CONFIG) -> dict[str, Any]:
    """Twenty updates, each on groups of an older version."""
    started = time.monotonic()
    policy = load_policy(config=config)
    draws = np.random.default_rng(unit.seed)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=config.learning_rate, weight_decay=0.0)
    states: list[State] = [policy.adapters.state("learner")]
    before = fresh_share(policy, config)
    moved, distance, learning_s = [], 0.0, -time.process_time()
    for update in tqdm(range(UPDATES), desc=f"{unit.treatment}, lag {unit.lag}, seed {unit.seed}"):
        maker = max(0, update - unit.lag)
        policy.adapters.load("archive", states[maker], shape_of(config))
        groups = [judged(made, update - maker) for made in rollouts(policy, config, draws)]
        moved.append(kl_to(policy, groups, "archive", config.micro_batch, update))
        for _ in learning(policy, optimizer, groups, config, unit, distance, update):
            pass
        distance = kl_to(policy, groups, "base", config.micro_batch, update)
        states.append(policy.adapters.state("learner"))
    learning_s += time.process_time()
    policy.adapters.copy("learner", "live")
    after = fresh_share(policy, config)
    return {
        "treatment": unit.treatment,
        "lag": unit.lag,
        "seed": unit.seed,
        "settings": config.values(),
        "share_before": before,
        "share_after": after,
        "gain": after - before,
        "kl_to_maker": [round(kl, 3) for kl in moved],
        "kl_to_base": round(distance, 3),
        "torch": torch.__version__,
        "learning_cpu_s": round(learning_s),
        "seconds": round(time.monotonic() - started),
    }


def rollouts(
    policy: StableDiffusionPolicy, config: ProjectConfig, draws: np.random.Generator
) -> list[Rollout]:
    """Eight groups of the older version, of prompts drawn anew."""
    prompts = draws.choice(STARTER_PROMPTS, GROUPS, replace=False).tolist()
    seeds = draws.integers(2**31, size=(GROUPS, config.group_size)).tolist()
    return policy.rollouts(prompts, seeds, sampler_of(config), weights="archive")


def judged(made: Rollout, lag: int) -> JudgedGroup:
    """Best of four by the taste alone."""
    k = len(made.images)
    liking = eye.TASTES[TASTE](made.images, [made.trajectories.prompt] * k)
    best = np.arange(k) == int(np.argmax(liking))
    pushes = group_centred([0.5] * k if np.ptp(liking) < 1e-9 else best.astype(float).tolist())
    advantages = torch.tensor([pushes], dtype=torch.float64)
    return JudgedGroup("", made.trajectories, advantages, torch.tensor([k]), lag=lag)


def learning(
    policy: StableDiffusionPolicy,
    optimizer: torch.optim.Optimizer,
    groups: list[JudgedGroup],
    config: ProjectConfig,
    unit: Unit,
    distance: float,
    update: int,
) -> Iterator[object]:
    """One update, with late groups treated as the unit says."""
    loop = loop_of(config, distance, LateRatings(unit.treatment))
    weighted = step_weighted(policy, groups, config)
    return train(policy, optimizer, weighted, loop, seed=1000 * unit.seed + update)


def fresh_share(policy: StableDiffusionPolicy, config: ProjectConfig) -> float:
    """Share of 400 pictures of the live weights that satisfy the taste."""
    satisfied = []
    for prompt in FRESH:
        prompts = [prompt] * len(FRESH_SEEDS)
        pictures = policy.sample(prompts, list(FRESH_SEEDS), sampler_of(config), "live")
        satisfied.append(eye.satisfies(TASTE, pictures, prompts))
    return float(np.mean(satisfied))


def report() -> None:
    """What is kept of the on-time gain, with a one-sided 90 % bootstrap bound over seeds."""
    found = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]
    gains: dict[tuple[str, int], dict[int, float]] = {}
    for row in found:
        gains.setdefault((row["treatment"], row["lag"]), {})[row["seed"]] = row["gain"]
    on_time = gains.get(("stored", 0), {})
    draws = np.random.default_rng(0)
    print("| treatment | lag | seeds | gain | kept of the on-time gain | at least (90 %) |")
    print("|---|---|---|---|---|---|")
    for (treatment, lag), by_seed in sorted(gains.items(), key=lambda item: item[0][::-1]):
        paired = sorted(set(by_seed) & set(on_time))
        mine = np.array([by_seed[seed] for seed in paired])
        theirs = np.array([on_time[seed] for seed in paired])
        kept = bound = float("nan")
        if paired:
            rows = draws.integers(len(paired), size=(RESAMPLES, len(paired)))
            ratios = mine[rows].mean(1) / np.maximum(theirs[rows].mean(1), 1e-9)
            kept, bound = mine.mean() / theirs.mean(), float(np.quantile(ratios, 0.1))
        mean = np.mean(list(by_seed.values()))
        print(f"| {treatment} | {lag} | {len(by_seed)} | {mean:+.1%} | {kept:.0%} | {bound:.0%} |")


def main() -> None:
    """Plan, run or report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--chosen", default="decoupled", help="treatment for lags 1, 2 and 10")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", default="1/1", help="2/3: every third unit, from the second")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    part, parts = map(int, options.part.split("/"))
    left = [unit for unit in units(options.chosen) if not unit.file.exists()]
    if options.plan:
        print(f"{len(left)} units left, about {len(left) * MINUTES / 60:.1f} hours one at a time")
        for unit in left:
            print(f"{unit.treatment}, lag {unit.lag}, seed {unit.seed}")
    for unit in left[part - 1 :: parts] if options.all else []:
        result = run_unit(unit)
        RESULTS.mkdir(parents=True, exist_ok=True)
        unit.file.write_text(json.dumps(result, indent=1) + "\n")
        print(f"{unit.file.name}: {result['gain']:+.1%}", flush=True)
    if options.report:
        report()


if __name__ == "__main__":
    main()
