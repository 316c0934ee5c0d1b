"""Does it learn what people like? Simulated raters with a taste, through the real studio.

    python -m benchmarks.learning --taste dark_background --seed 0     one unit, a few minutes
    python -m benchmarks.learning --all                                every unit not yet there
    python -m benchmarks.learning --report                             the table

A unit is one (taste, seed): a rater who sees best-of-4 groups by pixels alone rates 8 groups per
update; then version 0 and the last are sampled on 60 prompts (20 never rated) x 4 fixed seeds.
Each unit writes one small JSON as it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.studio import Studio
from loop_studio.config import ProjectConfig
from loop_studio.pixels import diversity
from loop_studio.starter import eye, referee
from loop_studio.starter.paths import DIFFUSION_FOLDER
from loop_studio.starter.prompts import EVALUATION_PROMPTS, STARTER_PROMPTS

RESULTS = Path(__file__).parent / "results" / "learning"
CACHE = Path(__file__).parents[1] / ".cache" / "learning"
TASTES = ("dark_background", "large_object", "left_of_centre", "striped")
SEEDS = (0, 1, 2)
RESAMPLES = 2000


@dataclass(frozen=True)
class Plan:
    """How much is rated and how it is measured."""

    updates: int = 10
    groups: int = 8
    threads: int = 2
    settings: dict[str, Any] = field(default_factory=dict)
    prompts: tuple[str, ...] = tuple(EVALUATION_PROMPTS)
    seeds: tuple[int, ...] = (101, 102, 103, 104)


def run_unit(taste: str, seed: int, plan: Plan) -> dict[str, Any]:
    """One run from version 0 to the last, and what it changed."""
    started = time.monotonic()
    groups = plan.groups
    with tempfile.TemporaryDirectory() as data, Studio(Path(data), plan.threads) as studio:
        project = studio.post(
            "/projects",
            {
                "name": f"{taste}-{seed}",
                "prompts": [p for p in STARTER_PROMPTS if applies(taste, p)],
                "settings": {
                    "auto_update_groups": None,
                    "min_groups": 1,
                    "max_groups_per_update": groups,
                    "buffer_groups": 2,  # the rater never waits for long; more would be wasted
                    **plan.settings,
                },
            },
        )["id"]
        history = []
        for _ in range(plan.updates):
            share = [rate(studio, project, taste, f"rater-{seed}") for _ in range(groups)]
            update = studio.update(project)
            history.append({"training_share": float(np.mean(share)), "number": update["number"]})
        last = studio.get(f"/projects/{project}/versions")["versions"][-1]
        before = base_samples(studio, project, plan)
        after = studio.samples(project, list(plan.prompts), list(plan.seeds), last["number"])
    return {
        "taste": taste,
        "seed": seed,
        "updates": plan.updates,
        "groups_per_update": groups,
        "settings": plan.settings,
        "history": history,
        "metrics": last["metrics"],
        "seconds": round(time.monotonic() - started, 1),
        **compare(taste, before, after[1], after[0]),
    }


def applies(taste: str, prompt: str) -> bool:
    """Whether the prompt leaves open what the taste is about; no caption says the other three."""
    return taste != "striped" or bool(eye.texture_is_open([prompt])[0])


def base_samples(studio: Studio, project: str, plan: Plan) -> NDArray[np.uint8]:
    """Version 0's pictures. Every unit would paint the same ones, so the first keeps them."""
    generation = ProjectConfig.from_values(plan.settings).generation()
    digest = sha256(json.dumps([plan.prompts, plan.seeds, generation]).encode())
    for file in sorted(DIFFUSION_FOLDER.rglob("*.*")):  # the VAE and the schedule count as well
        digest.update(file.read_bytes())
    kept = CACHE / f"base-{digest.hexdigest()[:16]}.npy"
    if not kept.exists():
        pictures, _ = studio.samples(project, list(plan.prompts), list(plan.seeds), 0)
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            np.save(file, pictures)
        partial.replace(kept)
    loaded: NDArray[np.uint8] = np.load(kept)
    return loaded


def rate(studio: Studio, project: str, taste: str, rater: str) -> float:
    """Judge one group best-of-k by taste alone; returns the share that satisfies it."""
    group = studio.next_group(project, rater)
    pictures = studio.pictures(group["images"])
    prompts = [group["prompt"]] * len(pictures)
    liking = eye.TASTES[taste](pictures, prompts)
    best = int(np.argmax(liking))
    equal = bool(np.ptp(liking) < 1e-9)
    judgement = {
        image["id"]: 0.5 if equal else float(i == best) for i, image in enumerate(group["images"])
    }
    body = {
        "event_id": f"{group['id']}-{rater}",
        "group_id": group["id"],
        "rater": rater,
        "mode": "best",
        "judgement": judgement,
    }
    studio.post("/ratings", body)
    return float(np.mean(eye.satisfies(taste, pictures, prompts)))


def compare(
    taste: str, before: NDArray[np.uint8], prompts: Sequence[str], after: NDArray[np.uint8]
) -> dict[str, Any]:
    """Gain in share with a bootstrap over prompts (pairs kept), accuracy and diversity.

    Share and gain are over the prompts to which the taste applies, the rest over all of them.
    """
    names = [name for name in dict.fromkeys(prompts) if applies(taste, name)]
    open_ = [applies(taste, prompt) for prompt in prompts]
    had, has = (eye.satisfies(taste, pictures, list(prompts)) for pictures in (before, after))
    liked, likes = (eye.TASTES[taste](pictures, list(prompts)) for pictures in (before, after))
    by_prompt = mean_by_prompt(has.astype(float) - had.astype(float), prompts, names)
    likings = mean_by_prompt(likes - liked, prompts, names)
    draws = np.random.default_rng(0).choice(by_prompt, (RESAMPLES, len(names))).mean(1)
    return {
        "share_before": float(had[open_].mean()),
        "share_after": float(has[open_].mean()),
        "gain": float(by_prompt.mean()),
        "gain_by_prompt": [round(float(gain), 4) for gain in by_prompt],
        "liking_gain_by_prompt": [round(float(gain), 4) for gain in likings],
        "gain_95": [float(q) for q in np.quantile(draws, (0.025, 0.975))],
        "accuracy_before": accuracy(before, prompts),
        "accuracy_after": accuracy(after, prompts),
        "diversity_before": diversity(before, prompts),
        "diversity_after": diversity(after, prompts),
    }


def mean_by_prompt(
    values: NDArray[np.float64], prompts: Sequence[str], names: Sequence[str]
) -> NDArray[np.float64]:
    """Mean of the values (N,) of pictures over those of each named prompt."""
    return np.array([values[[prompt == name for prompt in prompts]].mean() for name in names])


def accuracy(pictures: NDArray[np.uint8], prompts: Sequence[str]) -> dict[str, float]:
    """Share of right pictures by attribute, where the prompt names one."""
    verdicts = referee.verdict(pictures, list(prompts))
    named = {name: [getattr(v, name) for v in verdicts] for name in ("colour", "shape")}
    return {
        name: float(np.mean([right for right in found if right is not None]))
        for name, found in named.items()
    }


@dataclass(frozen=True)
class Bar:
    """What the units of a taste must reach together, as shares."""

    name: str
    gain: float  # at least, in the mean over seeds
    fall: float  # of colour or shape accuracy, at most, in the mean over seeds


BARS = (Bar("goal", 0.30, 0.05), Bar("gate", 0.10, 0.08))
LEAST_DIVERSITY = 0.7  # of the diversity before
TASTES_NEEDED = 3


def reaches(units: Sequence[dict[str, Any]], bar: Bar) -> bool:
    """Whether a taste's units reach the bar: every seed has run, and each is clear of 0."""
    return (
        len(units) == len(SEEDS)
        and all(unit["gain_95"][0] > 0 for unit in units)
        and mean_of(units, lambda unit: unit["gain"]) >= bar.gain
        and all(mean_of(units, change_of(name)) >= -bar.fall for name in ("colour", "shape"))
        and mean_of(units, spread) >= LEAST_DIVERSITY
    )


def mean_of(units: Sequence[dict[str, Any]], measure: Callable[[dict[str, Any]], float]) -> float:
    """Mean of a measure over units."""
    return float(np.mean([measure(unit) for unit in units]))


def change_of(name: str) -> Callable[[dict[str, Any]], float]:
    """Change of an accuracy, as a measure of units."""
    return lambda unit: float(unit["accuracy_after"][name] - unit["accuracy_before"][name])


def spread(unit: dict[str, Any]) -> float:
    """Diversity after over before."""
    return float(unit["diversity_after"] / unit["diversity_before"])


def report() -> None:
    """The table over all units that have run, and whether goal and gate are reached."""
    units = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    print(
        "taste             seed  before  after   gain  95 % interval     colour  shape  diversity"
    )
    for unit in units:
        low, high = unit["gain_95"]
        print(
            f"{unit['taste']:<17} {unit['seed']:>4}  {unit['share_before']:>6.1%} "
            f"{unit['share_after']:>6.1%} {unit['gain']:>+6.1%}  [{low:>+6.1%}, {high:>+6.1%}]  "
            f"{100 * change_of('colour')(unit):>+6.1f} {100 * change_of('shape')(unit):>+6.1f}  "
            f"{100 * (spread(unit) - 1):>+8.0f} %"
        )
    by_taste = {taste: [unit for unit in units if unit["taste"] == taste] for taste in TASTES}
    for taste, own in by_taste.items():
        if own:
            reached = [bar.name for bar in BARS if reaches(own, bar)]
            print(
                f"{taste}: mean gain {mean_of(own, lambda unit: unit['gain']):+.1%} over "
                f"{len(own)} of {len(SEEDS)} seeds; reaches: {', '.join(reached) or 'neither bar'}"
            )
    for bar in BARS:
        count = sum(reaches(own, bar) for own in by_taste.values())
        verdict = "reached" if count >= TASTES_NEEDED else "not reached"
        print(
            f"{bar.name} {verdict}: {count} of {len(TASTES)} tastes ({TASTES_NEEDED} needed) gain "
            f"{bar.gain:.0%} with colour and shape down by at most {bar.fall:.0%}"
        )


def main() -> None:
    """Run what is asked for; units that are there are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--taste", choices=TASTES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    wanted = [(options.taste, options.seed)] if options.taste else []
    if options.all:
        wanted = [(taste, seed) for seed in SEEDS for taste in TASTES]
    plan = Plan(options.updates, options.groups, options.threads, options.settings)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for taste, seed in wanted:
        target = RESULTS / f"{taste}-{seed}.json"
        if not target.exists():
            unit = run_unit(taste, seed, plan)
            target.write_text(json.dumps(unit, indent=1) + "\n")
            print(f"{target.name}: gain {unit['gain']:+.1%} {unit['gain_95']}", flush=True)
    if options.report or options.all:
        report()


if __name__ == "__main__":
    main()
