"""The whole point, in small: judgements change what the model makes.

The full benchmark, four tastes and three seeds, is `python -m benchmarks.learning --all`; that of
the automatic reward, which wants a thousand groups, `python -m benchmarks.automatic`.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning import Plan, run_unit

# Fewer steps and less brake than the defaults, which are set for ten updates: four must do.
BRISK = {
    "num_inference_steps": 8,
    "buffer_groups": 1,
    "guard": False,  # four bold updates may cost more than it would let pass
    "trained_fraction": 0.3,
    "learning_rate": 5e-3,
    "kl_weight": 0.005,
    "kl_budget": 10.0,
}


def one_sided_p(differences: NDArray[np.float64]) -> float:
    """Chance of a mean this high if nothing had changed (normal approximation, paired)."""
    error = differences.std(ddof=1) / len(differences) ** 0.5
    return 1 - NormalDist().cdf(float(differences.mean() / error)) if error else 1.0


def test_twenty_eight_judgements_shift_the_model_towards_the_taste() -> None:
    plan = Plan(
        updates=4,
        groups=7,
        threads=1,
        settings=BRISK,
        seeds=(101,),  # on all prompts: what they differ in is most of the noise
    )
    unit = run_unit("dark_background", 0, plan)
    p = one_sided_p(np.array(unit["liking_gain_by_prompt"]))
    assert p < 0.01, (p, unit["share_before"], unit["share_after"])
