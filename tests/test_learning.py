"""The whole point, in small: judgements change what the model makes; so does a reward model.

The full benchmark, four tastes and three seeds, is `python -m benchmarks.learning --all`.
"""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.learning import Plan, accuracy, run_unit
from benchmarks.studio import Studio
from loop_studio.starter.prompts import EVALUATION_PROMPTS, STARTER_PROMPTS
from loop_studio.starter.scorer import Scorer

# Fewer steps and less brake than the defaults, which are set for ten updates: four must do.
BRISK = {
    "num_inference_steps": 10,
    "trained_fraction": 0.3,
    "learning_rate": 5e-3,
    "kl_weight": 0.005,
    "kl_budget": 10.0,
}


def one_sided_p(differences: NDArray[np.float64]) -> float:
    """Chance of a mean this high if nothing had changed (normal approximation, paired)."""
    error = differences.std(ddof=1) / len(differences) ** 0.5
    return 1 - NormalDist().cdf(float(differences.mean() / error)) if error else 1.0


def test_thirty_two_judgements_shift_the_model_towards_the_taste() -> None:
    prompts = tuple(EVALUATION_PROMPTS[::3])
    plan = Plan(updates=4, threads=1, settings=BRISK, prompts=prompts, seeds=(101, 102))
    unit = run_unit("dark_background", 0, plan)
    p = one_sided_p(np.array(unit["liking_gain_by_prompt"]))
    assert p < 0.01, (p, unit["share_before"], unit["share_after"])


@pytest.mark.soak
def test_the_automatic_reward_rises_and_the_referee_does_not_object(tmp_path: Path) -> None:
    prompts, seeds = list(EVALUATION_PROMPTS), [101, 102]
    with Studio(tmp_path / "data") as studio:
        body = {
            "name": "Automatic",
            "prompts": list(STARTER_PROMPTS),
            "settings": {"auto_update_groups": 16},
        }
        project = studio.post("/projects", body)["id"]
        reward = {"human": 0.0, "models": {"clip_score": 1.0}}
        studio.client.put(f"/projects/{project}/reward", json=reward).raise_for_status()
        for _ in range(8):
            update = studio.update(project)
        before, texts = studio.samples(project, prompts, seeds, 0)
        after, _ = studio.samples(project, prompts, seeds, update["version"])
    gains = scores(after, texts) - scores(before, texts)
    assert one_sided_p(gains.reshape(len(prompts), len(seeds)).mean(1)) < 0.01, gains.mean()
    was, became = accuracy(before, texts), accuracy(after, texts)
    for name in was:
        assert became[name] >= was[name] - 0.07, name  # twice the sampling error of 120 pictures


def scores(pictures: NDArray[np.uint8], texts: list[str]) -> NDArray[np.float64]:
    return np.array(Scorer().score([Image.fromarray(picture) for picture in pictures], texts))
