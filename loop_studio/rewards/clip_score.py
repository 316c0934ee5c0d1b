"""The starter's CLIP score: scaled cosine similarity of picture and prompt."""

from __future__ import annotations

from loop_studio.rewards.model import RewardModel
from loop_studio.starter.scorer import Scorer


def build() -> RewardModel:
    """Load the scorer that ships with the studio."""
    return Scorer()
