"""Which automatic rewards there are. Torch-free: the web process lists them from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loop_studio.starter.paths import SCORER_FOLDER


@dataclass(frozen=True)
class RewardEntry:
    """One automatic reward as a person chooses it."""

    name: str
    description: str
    default_sd: float  # declared within-group standard deviation, until enough were scored
    unavailable: Callable[[], str]  # a sentence why it cannot be used here; empty when it can


def _scorer_missing() -> str:
    if (SCORER_FOLDER / "model.safetensors").is_file():
        return ""
    return "The scorer's weights are missing; train them with python -m loop_studio.starter.train."


CATALOGUE: tuple[RewardEntry, ...] = (
    RewardEntry(
        name="clip_score",
        description="How well a picture fits its prompt, by the starter's own small CLIP model",
        default_sd=1.0,
        unavailable=_scorer_missing,
    ),
)


def entry(name: str) -> RewardEntry | None:
    """The entry called `name`, or None."""
    return next((known for known in CATALOGUE if known.name == name), None)
