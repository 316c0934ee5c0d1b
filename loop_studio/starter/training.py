"""A training loop that can be killed at any step and goes on as if it had not been.

All randomness of step n comes from a generator seeded with (seed, n), so a state is only weights,
optimizer, running averages and a step number: a resumed training equals an uninterrupted one
bit for bit (same machine, same threads).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]  # has no annotations

StepLoss = Callable[[int, torch.Generator], Tensor]  # step, its generator -> scalar loss


@dataclass(frozen=True)
class Recipe:
    """How long and how fast one stage trains."""

    steps: int
    peak_learning_rate: float
    seed: int
    warmup_steps: int = 100
    decay_share: float = 0.3  # last part of the steps, over which the learning rate falls to 0
    ema_decay: float = 0.999
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    save_every: int = 200


def learning_rate(step: int, recipe: Recipe) -> float:
    """Warm-up, constant, linear decay: a running average is worth exporting at any time."""
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    decay_steps = max(1.0, recipe.decay_share * recipe.steps)
    return recipe.peak_learning_rate * min(warm, (recipe.steps - step) / decay_steps, 1.0)


def step_generator(seed: int, step: int) -> torch.Generator:
    """The only source of randomness of one step."""
    return torch.Generator().manual_seed((seed << 32) + step)


class Training:
    """A module, its optimizer and its running average, with a state file."""

    def __init__(self, module: nn.Module, recipe: Recipe, state_file: Path) -> None:
        self.module = module
        self.recipe = recipe
        self.step = 0
        self._state_file = state_file
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._parameters, weight_decay=recipe.weight_decay, betas=recipe.betas, fused=True
        )
        self._average = [p.detach().clone() for p in self._parameters]
        if state_file.exists():
            self._load()

    def run(self, loss_of: StepLoss, until: int | None = None) -> Iterator[int]:
        """Trains to the end (or step `until`); yields the number of steps done after each."""
        end = min(until or self.recipe.steps, self.recipe.steps)
        name = self._state_file.stem
        bar = tqdm(
            range(self.step, end),
            initial=self.step,
            total=end,
            desc=name,
            mininterval=10,
        )
        smooth = 0.0
        for step in bar:
            loss = self._advance(step, loss_of)
            smooth = loss if smooth == 0.0 else 0.98 * smooth + 0.02 * loss
            bar.set_postfix(loss=f"{smooth:.4f}", refresh=False)
            self.step = step + 1
            if self.step % self.recipe.save_every == 0 or self.step == end:
                self.save()
            yield self.step

    def averaged(self) -> nn.Module:
        """A copy of the module whose weights are their running average. For exports."""
        twin = copy.deepcopy(self.module)
        trained = [p for p in twin.parameters() if p.requires_grad]
        for parameter, average in zip(trained, self._average, strict=True):
            parameter.data.copy_(average)
        return twin.eval()

    def save(self) -> None:
        """Writes the state beside its place and renames it: never half-written."""
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._state_file.with_suffix(".partial")
        torch.save(self._state(), partial)
        os.replace(partial, self._state_file)

    def _advance(self, step: int, loss_of: StepLoss) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(step, self.recipe)
        loss = loss_of(step, step_generator(self.recipe.seed, step))
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        decay = min(self.recipe.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            weights = [parameter.data for parameter in self._parameters]
            torch._foreach_lerp_(self._average, weights, 1 - decay)
        return float(loss.detach())

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "module": self.module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average,
        }

    def _load(self) -> None:
        state = torch.load(self._state_file, weights_only=True)
        self.step = state["step"]
        self.module.load_state_dict(state["module"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._average = list(state["average"])
