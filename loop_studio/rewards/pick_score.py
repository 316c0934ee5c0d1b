"""PickScore: a CLIP ViT-H/14 fitted to choices between two pictures for one prompt.

Source: Kirstain et al. 2023, "Pick-a-Pic", and the model card of yuvalkirstain/PickScore_v1: the
model's own scale times the cosine of picture and prompt.
"""

from __future__ import annotations

from collections.abc import Mapping

from PIL.Image import Image

from loop_studio.rewards import weights
from loop_studio.rewards.catalogue import CLIP_H, PICK_SCORE
from loop_studio.rewards.two_towers import TwoTowers, load
from loop_studio.settings import Settings


class PickScore:
    """Scale times cosine."""

    def __init__(self, towers: TwoTowers, version: str) -> None:
        self._towers = towers
        self.version = version

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """The difference of two scores is the logarithm of the odds that the first is picked."""
        scale = self._towers.scale
        return [scale * float(cosine) for cosine in self._towers.cosines(images, prompts)]


def build(name: str, settings: Settings, values: Mapping[str, str], device: str) -> PickScore:
    """What the catalogue's `pick_score` loads."""
    folder = weights.folder_of(settings, PICK_SCORE)
    beside = weights.folder_of(settings, CLIP_H, with_weights=False)
    return PickScore(load(folder, device, beside), weights.fingerprint_of(folder))
