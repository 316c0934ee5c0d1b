"""Does an automatic reward alone teach? The starter's CLIP score, through the real studio.

    python -m benchmarks.automatic [--updates 48] [--threads 2]     resumable: run it again
    python -m benchmarks.automatic --report                         the table

48 updates of 24 groups; after every eighth the version is sampled on 60 prompts (20 never trained
on) x 4 fixed seeds, as version 0 is. Printed are the gain in mean score, its standard error with
prompts as the unit, the one-sided p, and the referee's accuracy. The last look is the one that was
decided on beforehand; earlier ones are shown as they come.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.learning import CACHE, accuracy
from benchmarks.studio import Studio
from loop_studio.starter.prompts import EVALUATION_PROMPTS, STARTER_PROMPTS
from loop_studio.starter.scorer import Scorer

RESULT = Path(__file__).parent / "results" / "automatic.json"
DATA = CACHE.with_name("automatic")  # kept until the run has ended
SEEDS = [101, 102, 103, 104]
GROUPS, EVERY = 24, 8
SETTINGS = {
    "auto_update_groups": GROUPS,
    "num_inference_steps": 10,
    "learning_rate": 2e-3,
    "passes": 1,
    "minibatches": 2,
    "kl_weight": 0.01,
    "kl_budget": 4.0,
}


def run(updates: int, threads: int) -> None:
    """Go on where the data folder stands, and write every look as it lands."""
    prompts = list(EVALUATION_PROMPTS)
    with Studio(DATA, threads) as studio:
        project = _project(studio)
        before, texts = studio.samples(project, prompts, SEEDS, 0)
        number = _newest(studio, project)["number"]
        looks = json.loads(RESULT.read_text())["looks"] if RESULT.exists() and number else []
        while number < updates:
            number = studio.update(project)["version"]
            print(f"{number} of {updates} updates", flush=True)
            if number % EVERY == 0:
                after, _ = studio.samples(project, prompts, SEEDS, number)
                kl = _newest(studio, project)["metrics"]["policy/kl_to_base"]
                looks.append(look(number, before, after, texts, kl))
                unit = {"settings": SETTINGS, "groups_per_update": GROUPS, "looks": looks}
                RESULT.write_text(json.dumps(unit, indent=1) + "\n")


def look(
    updates: int, before: NDArray[np.uint8], after: NDArray[np.uint8], texts: list[str], kl: float
) -> dict[str, Any]:
    """What changed on the same prompts and seeds; pictures (N, H, W, 3), prompt by prompt."""
    gains = (_scores(after, texts) - _scores(before, texts)).reshape(-1, len(SEEDS)).mean(1)
    error = float(gains.std(ddof=1) / len(gains) ** 0.5)
    return {
        "updates": updates,
        "gain": round(float(gains.mean()), 4),
        "standard_error": round(error, 4),
        "one_sided_p": round(1 - NormalDist().cdf(float(gains.mean()) / error), 4),
        "kl_to_base": round(kl, 2),
        "accuracy_before": accuracy(before, texts),
        "accuracy_after": accuracy(after, texts),
    }


def report() -> None:
    """The table of all looks."""
    print("updates    gain   error  one-sided p  KL, nats  colour  shape")
    for one in json.loads(RESULT.read_text())["looks"]:
        change = {
            name: 100 * (one["accuracy_after"][name] - one["accuracy_before"][name])
            for name in ("colour", "shape")
        }
        print(
            f"{one['updates']:>7} {one['gain']:>+7.3f} {one['standard_error']:>7.3f} "
            f"{one['one_sided_p']:>12.3f} {one['kl_to_base']:>9.2f} "
            f"{change['colour']:>+7.1f} {change['shape']:>+6.1f}"
        )


def _project(studio: Studio) -> str:
    """The one project of the data folder beside the archived starter."""
    known = [one["id"] for one in studio.get("/projects")["projects"] if not one["archived"]]
    if known:
        return str(known[0])
    body = {"name": "Automatic", "prompts": list(STARTER_PROMPTS), "settings": SETTINGS}
    project = str(studio.post("/projects", body)["id"])
    reward = {"human": 0.0, "models": {"clip_score": 1.0}}
    studio.client.put(f"/projects/{project}/reward", json=reward).raise_for_status()
    return project


def _newest(studio: Studio, project: str) -> dict[str, Any]:
    return dict(studio.get(f"/projects/{project}/versions")["versions"][-1])


def _scores(pictures: NDArray[np.uint8], texts: list[str]) -> NDArray[np.float64]:
    return np.array(Scorer().score([Image.fromarray(picture) for picture in pictures], texts))


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", action="store_true")
    chosen = parser.parse_args()
    if not chosen.report:
        run(chosen.updates, chosen.threads)
    report()


if __name__ == "__main__":
    main()
