"""How far a few ratings go when a reward is learned from them, against plain LOOP with three times
as many.

    python -m benchmarks.label_efficiency --plan           what is left, and about how long it takes
    python -m benchmarks.label_efficiency --all            every unit not yet there
    python -m benchmarks.label_efficiency --report         the table and the bar
    python -m benchmarks.label_efficiency --arm active_27 --taste striped --seed 0       one unit

A rating is one best-of-4 judgement by a simulated rater with a taste, of which one in ten is drawn
blindly. Each arm takes the same number of updates; what they differ in is how many ratings come
before each, and what fills the update up:

    plain_81, plain_40    people alone
    plain_27              people alone: what the learned arms have without a learned reward
    learned_27            and groups that a learned reward judges; one group is ready at a time
    active_27             the same, and the group that tells most is served, three times of four

Groups that the rater does not judge count as pictures too: at most twice as many as plain_81 made.
The gain is the share of fresh pictures that satisfy the taste, after against before. A unit is one
(arm, taste, seed) and writes one small JSON as it ends.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning import (
    LEAST_DIVERSITY,
    TASTES,
    Plan,
    applies,
    base_samples,
    change_of,
    compare,
    mean_of,
    spread,
)
from benchmarks.studio import Studio
from loop_studio.starter import eye
from loop_studio.starter.prompts import EVALUATION_PROMPTS, STARTER_PROMPTS

RESULTS = Path(__file__).parent / "results" / "label_efficiency"
SEEDS = (0, 1, 2, 3, 4)
BLIND = 0.1  # of choices
LEARNED_WEIGHT = 0.5  # a group then pushes about as hard as one that a person judged
MOST_PICTURES = 2.0  # of plain_81's
STILL_RISING = 1.3  # gain at 81 ratings over that at 40
MARGIN = -0.2  # of plain_81's gain: where the lower bound of the difference must lie above
FALL = 0.05  # of colour or shape accuracy, at most
RESAMPLES = 10_000
MINUTES = 13.0  # of a unit, two threads


@dataclass(frozen=True)
class Arm:
    """What comes before each update."""

    ratings: int  # in all
    learned: bool = False
    active: bool = False


ARMS: dict[str, Arm] = {
    "plain_81": Arm(81),
    "active_27": Arm(27, learned=True, active=True),
    "learned_27": Arm(27, learned=True),
    "plain_40": Arm(40),
    "plain_27": Arm(27),
}


@dataclass(frozen=True)
class Protocol:
    """How much is done in each unit, and how it is measured."""

    updates: int = 10
    filled: int = 15  # groups that an update takes at most, with a learned reward
    threads: int = 2
    settings: dict[str, Any] = field(default_factory=dict)
    prompts: tuple[str, ...] = tuple(EVALUATION_PROMPTS)
    seeds: tuple[int, ...] = (101, 102, 103, 104)


@dataclass(frozen=True)
class Unit:
    """One run from version 0 to the last."""

    arm: str
    taste: str
    seed: int

    @property
    def file(self) -> Path:
        """Where its result is kept."""
        return RESULTS / f"{self.arm}-{self.taste}-{self.seed}.json"


def units() -> list[Unit]:
    """Every unit, a whole taste and seed before the next: a report can be made early."""
    return [Unit(arm, taste, seed) for seed in SEEDS for taste in TASTES for arm in ARMS]


def shares(ratings: int, updates: int) -> list[int]:
    """Ratings before each update, as even as whole ratings can be: 27 in 10 are 3 or 2."""
    ends = [round(ratings * (update + 1) / updates) for update in range(updates)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def run_unit(unit: Unit, protocol: Protocol) -> dict[str, Any]:
    """Rate, update, and in the end compare fresh pictures of the last version with the first's."""
    started = time.monotonic()
    arm = ARMS[unit.arm]
    draws = np.random.default_rng(unit.seed)  # paired: the same blind choices in every arm
    with tempfile.TemporaryDirectory() as data, Studio(Path(data), protocol.threads) as studio:
        project = make_project(studio, unit, arm, protocol)
        history = []
        for count in shares(arm.ratings, protocol.updates):
            rated = [rate(studio, project, unit, draws) for _ in range(count)]
            if arm.learned:
                learn(studio, project)
            update = studio.update(project)
            now = studio.get(f"/projects/{project}/learned")
            history.append(
                {
                    "ratings": count,
                    "groups": update["groups"],
                    "training_share": round(float(np.mean(rated)), 4) if rated else None,
                    "learned": {name: now[name] for name in ("accuracy", "bound", "contributes")},
                }
            )
        made = pictures_made(studio, project)
        last = studio.get(f"/projects/{project}/versions")["versions"][-1]
        plan = Plan(settings=protocol.settings, prompts=protocol.prompts, seeds=protocol.seeds)
        before = base_samples(studio, project, plan)
        after, texts = studio.samples(project, list(plan.prompts), list(plan.seeds), last["number"])
    return {
        "arm": unit.arm,
        "taste": unit.taste,
        "seed": unit.seed,
        "ratings": arm.ratings,
        "pictures": made,
        "updates": protocol.updates,
        "settings": protocol.settings,
        "history": history,
        "seconds": round(time.monotonic() - started),
        **compare(unit.taste, before, texts, after),
    }


def make_project(studio: Studio, unit: Unit, arm: Arm, protocol: Protocol) -> str:
    """A project that updates only when asked, with as many groups ready as order can matter for."""
    body = {
        "name": f"{unit.arm}-{unit.taste}-{unit.seed}",
        "prompts": [prompt for prompt in STARTER_PROMPTS if applies(unit.taste, prompt)],
        "settings": {
            "auto_update_groups": None,
            "min_groups": 1,
            "max_groups_per_update": protocol.filled,
            "buffer_groups": 6 if arm.active else 1,  # with one there is nothing to choose from
            "repeat_share": 0.0,
            **protocol.settings,
        },
    }
    project: str = studio.post("/projects", body)["id"]
    if arm.learned:
        weights = {"human": 1.0, "models": {"learned": LEARNED_WEIGHT}}
        studio.client.put(f"/projects/{project}/reward", json=weights).raise_for_status()
    return project


def rate(studio: Studio, project: str, unit: Unit, draws: np.random.Generator) -> float:
    """One judgement; returns the share of the group that satisfies the taste."""
    group = studio.next_group(project, "rater")
    pictures = studio.pictures(group["images"])
    prompts = [group["prompt"]] * len(pictures)
    liking = eye.TASTES[unit.taste](pictures, prompts)
    is_blind, blindly = draws.random() < BLIND, int(draws.integers(len(pictures)))
    best = blindly if is_blind else int(np.argmax(liking))
    equal = not is_blind and bool(np.ptp(liking) < 1e-9)
    judgement = {
        image["id"]: 0.5 if equal else float(place == best)
        for place, image in enumerate(group["images"])
    }
    studio.post(
        "/ratings",
        {
            "event_id": group["id"],
            "group_id": group["id"],
            "rater": "rater",
            "mode": "best",
            "judgement": judgement,
        },
    )
    return float(np.mean(eye.satisfies(unit.taste, pictures, prompts)))


def learn(studio: Studio, project: str) -> None:
    """Wait until the learned reward knows of every rating, as it would while people pause."""
    path = f"/projects/{project}/learned"
    studio.post(f"{path}/fit")
    studio.wait(lambda: not studio.get(path)["learning"], 120)


def pictures_made(studio: Studio, project: str) -> int:
    """Pictures of all groups: those that updates used and those still ready."""
    used = sum(update["groups"] for update in studio.get(f"/projects/{project}/updates")["updates"])
    ready = studio.get(f"/projects/{project}/status")["ready_groups"]
    size = studio.get(f"/projects/{project}")["settings"]["group_size"]
    return int(size * (used + ready))


def report() -> None:
    """Gains by arm and taste, and whether the bar is reached."""
    found = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]
    by_arm: dict[str, dict[tuple[str, int], dict[str, Any]]] = {arm: {} for arm in ARMS}
    for unit in found:
        by_arm[unit["arm"]][unit["taste"], unit["seed"]] = unit
    print(
        "| arm | " + " | ".join(TASTES) + " | mean gain | pictures | colour | shape | diversity |"
    )
    print("|---" * (len(TASTES) + 6) + "|")
    for arm, of_arm in by_arm.items():
        if of_arm:
            print(f"| {arm} | {' | '.join(row(list(of_arm.values())))} |")
    plain = by_arm["plain_81"]
    rising(plain, by_arm["plain_40"])
    for arm in ("active_27", "learned_27", "plain_27"):
        compare_with(plain, by_arm[arm], arm)


def row(of_arm: Sequence[dict[str, Any]]) -> list[str]:
    """One arm's cells: gain by taste with its units, then means over all units."""
    cells = []
    for taste in TASTES:
        own = [unit["gain"] for unit in of_arm if unit["taste"] == taste]
        cells.append(f"{np.mean(own):+.1%} ({len(own)})" if own else "")
    measures: list[tuple[Callable[[dict[str, Any]], float], str]] = [
        (lambda unit: float(unit["gain"]), "+.1%"),
        (lambda unit: float(unit["pictures"]), ".0f"),
        (change_of("colour"), "+.1%"),
        (change_of("shape"), "+.1%"),
        (spread, ".2f"),
    ]
    return cells + [format(mean_of(of_arm, measure), form) for measure, form in measures]


Units = dict[tuple[str, int], dict[str, Any]]


def rising(many: Units, half: Units) -> None:
    """Whether plain LOOP still gains between 40 and 81 ratings: else 81 were more than it needs."""
    both = sorted(set(many) & set(half))
    if both:
        gains = [np.mean([of[unit]["gain"] for unit in both]) for of in (many, half)]
        verdict = "rising" if gains[0] >= STILL_RISING * gains[1] else "not rising: shrink N"
        print(f"plain LOOP: {gains[0]:+.1%} with 81, {gains[1]:+.1%} with 40 ratings: {verdict}")


def compare_with(plain: Units, arm: Units, name: str) -> None:
    """The paired difference to plain_81, and what of the bar it reaches."""
    both = sorted(set(plain) & set(arm))
    if not both:
        return
    goal = float(np.mean([plain[unit]["gain"] for unit in both]))
    difference = {unit: arm[unit]["gain"] - plain[unit]["gain"] for unit in both}
    mean, bound = float(np.mean(list(difference.values()))), lower_bound(difference)
    own = [arm[unit] for unit in both]
    checks = {
        "mean gain": mean >= 0,
        f"bound above {MARGIN:.0%} of the gain": bound > MARGIN * abs(goal),
        "pictures": mean_of(own, lambda unit: unit["pictures"])
        <= MOST_PICTURES * mean_of([plain[unit] for unit in both], lambda unit: unit["pictures"]),
        "fidelity": all(mean_of(own, change_of(part)) >= -FALL for part in ("colour", "shape")),
        "diversity": mean_of(own, spread) >= LEAST_DIVERSITY,
    }
    missed = ", ".join(check for check, is_met in checks.items() if not is_met)
    print(
        f"{name} against plain_81 over {len(both)} pairs: {mean:+.1%}, at least {bound:+.1%} "
        f"(one-sided 90 %); {'missed: ' + missed if missed else 'all of the bar is reached'}"
    )


def lower_bound(difference: dict[tuple[str, int], float]) -> float:
    """One-sided 90 % bootstrap bound of the mean: seeds are drawn anew within each taste."""
    draws = np.random.default_rng(0)
    means: list[NDArray[np.float64]] = []
    weights = []
    for taste in TASTES:
        own = np.array([value for (name, _), value in difference.items() if name == taste])
        if len(own):
            means.append(draws.choice(own, (RESAMPLES, len(own))).mean(1))
            weights.append(len(own))
    return float(np.quantile(np.average(means, axis=0, weights=weights), 0.1))


def main() -> None:
    """Plan, run or report; units that are there are kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--arm", choices=tuple(ARMS), help="one unit, or of --all this arm")
    parser.add_argument("--taste", choices=TASTES)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--settings", type=json.loads, default={}, help="of every project, as JSON")
    parser.add_argument("--part", default="1/1", help="2/3: every third unit, from the second")
    options = parser.parse_args()
    protocol = Protocol(threads=options.threads, settings=options.settings)
    part, parts = map(int, options.part.split("/"))
    wanted = {"arm": options.arm, "taste": options.taste, "seed": options.seed}
    left = [
        unit
        for unit in units()
        if not unit.file.exists()
        and all(value is None or getattr(unit, name) == value for name, value in wanted.items())
    ]
    if options.plan:
        print(f"{len(left)} units left, about {len(left) * MINUTES / 60:.1f} hours one at a time")
    is_one = None not in wanted.values()
    for unit in left[part - 1 :: parts] if options.all or is_one else []:
        result = run_unit(unit, protocol)
        RESULTS.mkdir(parents=True, exist_ok=True)
        unit.file.write_text(json.dumps(result, indent=1) + "\n")
        print(f"{unit.file.name}: {result['gain']:+.1%}", flush=True)
    if options.report:
        report()


if __name__ == "__main__":
    main()
