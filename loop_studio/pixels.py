"""What pictures look like, by their pixels alone: blank, blown out, all noise, all alike.

No model and no prompt is asked, so that a model which learns to please one cannot please this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_CONTRAST = 0.02  # standard deviation of brightness; below it there is nothing to see
MOST_EXTREME = 0.98  # share of values within `_EDGE` of black or white
MOST_NOISE = 0.9  # neighbours' mean difference over that of shuffled pixels; 1 is pure noise
_EDGE = 4


def broken(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the pictures (N, H, W, 3) are nearly one colour, blown out, or noise: (N,)."""
    light = pictures.astype(np.float64).mean(-1) / 255
    blank = light.std((1, 2)) < LEAST_CONTRAST
    extreme = (pictures < _EDGE) | (pictures > 255 - _EDGE)
    blown = extreme.mean((1, 2, 3)) > MOST_EXTREME
    result: NDArray[np.bool_] = blank | blown | (roughness(light) > MOST_NOISE)
    return result


def roughness(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Neighbours' mean absolute difference over that of any two pixels of the picture: (N,)."""
    across = np.abs(np.diff(light, axis=2)).mean((1, 2))
    down = np.abs(np.diff(light, axis=1)).mean((1, 2))
    ranked = np.sort(light.reshape(len(light), -1), axis=1)
    n = ranked.shape[1]
    weights = 2 * np.arange(1, n + 1) - n - 1  # Gini's mean difference
    apart = 2 * (ranked @ weights) / (n * (n - 1))
    result: NDArray[np.float64] = (across + down) / 2 / np.maximum(apart, 1e-9)
    return result


def diversity(pictures: NDArray[np.uint8], prompts: Sequence[str]) -> float:
    """Mean root-mean-square distance between two pictures of one prompt, in [0, 1]."""
    distances = []
    for name in dict.fromkeys(prompts):
        own = pictures[[prompt == name for prompt in prompts]].astype(float) / 255
        for i in range(len(own)):
            for j in range(i):
                distances.append(np.sqrt(np.mean((own[i] - own[j]) ** 2)))
    return float(np.mean(distances)) if distances else 0.0
