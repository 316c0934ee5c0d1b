"""How long and how fast each stage trains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from loop_studio.starter.training import Recipe

SCENES, SCENE_SEED = 60_000, 1
EXPORT_EVERY = 600  # steps of the denoiser

RECIPES = {
    "vae": Recipe(steps=2_700, peak_learning_rate=1.2e-3, seed=11, ema_decay=0.995),
    "decoder": Recipe(
        steps=2_000, peak_learning_rate=8e-4, seed=14, decay_share=0.6, ema_decay=0.99
    ),
    "text": Recipe(steps=700, peak_learning_rate=1e-3, seed=10, weight_decay=0.01),
    "diffusion": Recipe(
        steps=7_600,
        peak_learning_rate=1.2e-3,
        seed=12,
        weight_decay=0.01,
        decay_share=0.47,
    ),
    "zero_snr": Recipe(
        steps=3_300,
        peak_learning_rate=8e-4,
        seed=13,
        weight_decay=0.01,
        decay_share=0.8,
        ema_decay=0.995,
    ),
    "scorer": Recipe(steps=3_600, peak_learning_rate=1e-3, seed=21, weight_decay=0.05),
    "eye": Recipe(steps=400, peak_learning_rate=2e-3, seed=41, ema_decay=0.99),
    "referee": Recipe(steps=900, peak_learning_rate=2e-3, seed=31, ema_decay=0.995),
}


@dataclass(frozen=True)
class Order:
    """What one call of a stage needs to know."""

    work: Path  # states and intermediate files; may be deleted afterwards
    out: Path  # the weights folder
    steps: int | None = None  # instead of the recipe's

    def recipe(self, stage: str) -> Recipe:
        """The stage's recipe, shortened or lengthened as ordered."""
        recipe = RECIPES[stage]
        return recipe if self.steps is None else replace(recipe, steps=self.steps)
