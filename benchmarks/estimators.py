"""What each estimator of the family estimates, on a bandit whose gradient is known in closed form.

python -m benchmarks.estimators [--updates 2000]        prints the table of docs/engine.md

Two prompts share one policy x ~ N(theta, I) in D dimensions. An image x of prompt p earns
s_p (rho + u_p . x): mean s_p rho and standard deviation s_p, so rho is mu / sigma. The true
gradient of the mean reward is mean_p s_p u_p, in the engine's mean convention over D. An update is
8 groups of k images at ratio 1. Bias and standard deviation are relative to the true gradient's
length; cosine is that of the mean estimate with the true gradient.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from loop_studio.estimators import PROMPT_MEMORY, Estimator, Judged, estimate

ELEMENTS = 4
SCALES = np.array([1.0, 4.0])  # s_p
DIRECTIONS = np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.75**0.5, 0.0, 0.0]])  # u_p, 60 degrees apart
TRUE = (SCALES[:, None] * DIRECTIONS).mean(0) / ELEMENTS
GROUPS = 8
RHOS = (0.0, 1.0, 3.0)
GROUP_SIZES = (2, 4, 8)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """Of many updates: what their gradients have in common, and how far they scatter."""

    bias: float  # |mean - true| / |true|
    bias_error: float  # its standard error, were there no bias
    cosine: float
    cosine_error: float
    std: float  # sqrt of the summed variances / |true|


def gradients(estimator: Estimator, rho: float, k: int, updates: int, seed: int) -> Array:
    """Gradients of `updates` independent updates at theta = 0, (updates, D)."""
    generator = np.random.default_rng(seed)
    prompts = np.arange(GROUPS) % len(SCALES)
    past: dict[tuple[str, str], list[float]] = defaultdict(list)
    found = np.empty((updates, ELEMENTS))
    for update in range(updates):
        x = generator.standard_normal((GROUPS, k, ELEMENTS))
        along = np.einsum("gke,ge->gk", x, DIRECTIONS[prompts])
        rewards = SCALES[prompts, None] * (rho + along)
        judged = [
            Judged("bandit", str(prompt), "score", tuple(own))
            for prompt, own in zip(prompts, rewards.tolist(), strict=True)
        ]
        pushes = np.array(estimate(estimator, judged, past))
        found[update] = (pushes[..., None] * x).mean((0, 1)) / ELEMENTS
        for one in judged:
            key = one.judge, one.prompt_id
            past[key] = [*past[key], *one.rewards][-PROMPT_MEMORY:]
    return found


def reading(found: Array) -> Reading:
    """Bias, direction and scatter of gradients (N, D)."""
    length = float(np.linalg.norm(TRUE))
    mean, count = found.mean(0), len(found)
    spread = float(np.sqrt(found.var(0, ddof=1).sum()))
    size = float(np.linalg.norm(mean))
    cosine = float(mean @ TRUE / (size * length))
    across = found - np.outer(found @ mean, mean) / size**2  # what turns the mean's direction
    turn = float(np.sqrt(across.var(0, ddof=1).sum() / count)) / size
    return Reading(
        bias=float(np.linalg.norm(mean - TRUE)) / length,
        bias_error=spread / count**0.5 / length,
        cosine=cosine,
        cosine_error=turn * max((1 - cosine**2) ** 0.5, turn),
        std=spread / length,
    )


def main() -> None:
    """Print the table as Markdown, row by row as it lands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=2000)
    updates = parser.parse_args().updates
    print("| mu/sigma | k | estimator | bias | cosine | standard deviation |")
    print("|---|---|---|---|---|---|")
    for rho in RHOS:
        for k in GROUP_SIZES:
            for estimator in get_args(Estimator):
                if estimator == "rloo":
                    continue  # the very numbers of loop: they differ in their steps alone
                it = reading(gradients(estimator, rho, k, updates, seed=0))
                print(
                    f"| {rho:g} | {k} | {estimator} | {it.bias:.3f} ± {2 * it.bias_error:.3f} "
                    f"| {it.cosine:.3f} ± {2 * it.cosine_error:.3f} | {it.std:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
