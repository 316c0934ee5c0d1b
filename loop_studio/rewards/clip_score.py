"""CLIP score: how near picture and prompt lie, by the starter's scorer or any CLIP or SigLIP."""

from __future__ import annotations

from collections.abc import Mapping

from PIL.Image import Image

from loop_studio.rewards import weights
from loop_studio.rewards.availability import STARTER_CLIP
from loop_studio.rewards.model import RewardModel
from loop_studio.rewards.two_towers import TwoTowers, load
from loop_studio.settings import Settings
from loop_studio.starter.scorer import VERSION, Scorer

SCALE = 100.0


class ClipScore:
    """The scorer that ships with the studio, as a reward model."""

    version = VERSION

    def __init__(self) -> None:
        self._scorer = Scorer()

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """Higher is closer to the prompt; about 1 is a typical difference within a group."""
        return self._scorer.score(images, prompts)


class Similarity:
    """100 times the cosine of picture and prompt, as Hessel et al. 2021 but with its sign."""

    def __init__(self, towers: TwoTowers, version: str) -> None:
        self._towers = towers
        self.version = version

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """From -100 to 100."""
        return [SCALE * float(cosine) for cosine in self._towers.cosines(images, prompts)]


def build(name: str, settings: Settings, values: Mapping[str, str], device: str) -> RewardModel:
    """What the catalogue's `clip_score` loads."""
    if values["model"] == STARTER_CLIP:
        return ClipScore()
    folder = weights.folder_of(settings, values["model"])
    version = weights.fingerprint_of(folder)
    return Similarity(load(folder, device), version)
