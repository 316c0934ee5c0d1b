"""The seam to reward models, and how one is loaded. Torch is imported only when one is."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Protocol, cast

from PIL.Image import Image

from loop_studio.errors import NotFound, Refused
from loop_studio.rewards.catalogue import entry

_MODULES = {"clip_score": "loop_studio.rewards.clip_score"}


class RewardModel(Protocol):
    """Images and their prompts to raw scores, higher is better."""

    version: str  # changes whenever the same image could score differently

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """One raw score per image."""
        ...


@cache
def load(name: str) -> RewardModel:
    """The reward model called `name`, loaded once per process.

    Raises NotFound for a name that is not in the catalogue, Refused when it cannot be used here.
    """
    known = entry(name)
    if known is None:
        raise NotFound(f"There is no reward model called {name!r}.")
    sentence = known.unavailable()
    if sentence:
        raise Refused(sentence, "reward_unavailable")
    return cast(RewardModel, import_module(_MODULES[name]).build())
