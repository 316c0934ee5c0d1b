"""The starter's CLIP score: scaled cosine similarity of picture and prompt."""

from __future__ import annotations

from PIL.Image import Image

from loop_studio.starter.scorer import VERSION, Scorer


class ClipScore:
    """The scorer that ships with the studio, as a reward model."""

    version = VERSION

    def __init__(self) -> None:
        self._scorer = Scorer()

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """Higher is closer to the prompt; about 1 is a typical difference within a group."""
        return self._scorer.score(images, prompts)


def build() -> ClipScore:
    """What the catalogue's `clip_score` loads."""
    return ClipScore()
