"""Teaches the scorer what lies where, beside the comparison of pictures with captions.

One caption says too little about a picture for a transformer of a few thousand steps: taught by
comparison alone it told colours apart and hardly any shapes. Of drawn scenes all is known, so each
patch is asked what it shows; and picture and caption are asked, by the same questions in the same
words of the space they share, what lies at the outermost places.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPModel
from transformers.models.clip.modeling_clip import CLIPOutput

from loop_studio.starter.captions import COLOURS, SHAPES, TEXTURES, Description, Phrase
from loop_studio.starter.world import CANVAS, Scene, Thing

IGNORED = -100  # target of a question that has no answer there
NOTHING = len(SHAPES)  # a patch of the background
MOST = 4  # objects in a scene
_OF_A_PATCH = (len(SHAPES) + 1, len(COLOURS), len(TEXTURES))  # choices of each question
_OF_A_PLACE = (len(SHAPES), len(COLOURS), len(TEXTURES))
_OF_THE_WHOLE = (*(4 * _OF_A_PLACE), MOST)  # furthest left, right, up, down; how many
_ENDS = {"left of": (0, 1), "right of": (1, 0), "above": (2, 3), "below": (3, 2)}
_SHARPNESS = 10.0  # of answers read from embeddings of length 1


class Seer(nn.Module):
    """A CLIP model with a linear answer to each question about a patch and about the whole."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip
        width = clip.config.vision_config.hidden_size
        self.of_patches = nn.Linear(width, sum(_OF_A_PATCH))
        self.of_the_whole = nn.Linear(clip.config.projection_dim, sum(_OF_THE_WHOLE))

    def forward(self, output: CLIPOutput) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Logits of each question, (B, choices, N) about patches and (2B, choices) about wholes.

        The first B wholes are the pictures, the others the captions.
        """
        patches = self.of_patches(output.vision_model_output.last_hidden_state[:, 1:])
        wholes = self.of_the_whole(
            _SHARPNESS * torch.cat([output.image_embeds, output.text_embeds])
        )
        return (
            patches.transpose(1, 2).split(_OF_A_PATCH, dim=1),
            wholes.split(_OF_THE_WHOLE, dim=1),
        )


def shown(scene: Scene, patch: int) -> np.ndarray:
    """Shape, colour and texture that each patch shows, int64 (3, N), patches row by row.

    A patch shows the nearest object whose extent holds the patch's centre.
    """
    centres = (np.arange(CANVAS // patch) + 0.5) * patch
    x, y = np.meshgrid(centres, centres)
    away = np.stack([np.hypot(x - t.x, y - t.y) / t.radius for t in scene.things])
    truths = np.array([_choices(thing) for thing in scene.things])
    found: np.ndarray = truths[away.argmin(0).ravel()].T.copy()
    found[:, away.min(0).ravel() > 1] = [[NOTHING], [IGNORED], [IGNORED]]
    return found


def told(scene: Scene) -> np.ndarray:
    """What lies furthest left, right, up and down, then how many objects there are, (13,) int64."""
    across, down = (sorted(scene.things, key=key) for key in (lambda t: t.x, lambda t: t.y))
    outermost = (across[0], across[-1], down[0], down[-1])
    return np.array([c for thing in outermost for c in _choices(thing)] + [len(scene.things) - 1])


def told_by(said: Description) -> np.ndarray:
    """The same as far as a caption tells it, (13,) int64."""
    first = said.phrases[0]
    if said.relation is None:
        return np.array([*(4 * _choices(first)), first.count - 1])
    places = [[IGNORED] * len(_OF_A_PLACE) for _ in range(4)]
    for end, phrase in zip(_ENDS.get(said.relation, ()), said.phrases, strict=False):
        places[end] = _choices(phrase)
    return np.array([c for place in places for c in place] + [len(said.phrases) - 1])


def _choices(one: Thing | Phrase) -> list[int]:
    return [
        IGNORED if word is None else words.index(word)
        for words, word in ((SHAPES, one.shape), (COLOURS, one.colour), (TEXTURES, one.texture))
    ]


def seeing_loss(
    logits: tuple[tuple[Tensor, ...], tuple[Tensor, ...]], patches: Tensor, wholes: Tensor
) -> Tensor:
    """Cross-entropy, summed over the questions about patches, and meaned over those about wholes.

    `patches` (B, 3, N) and `wholes` (2B, 13) are the right choices, int64.
    """
    near, far = (
        torch.stack([nn.functional.cross_entropy(x, right[:, i]) for i, x in enumerate(answers)])
        for answers, right in zip(logits, (patches, wholes), strict=True)
    )
    return near.sum() + far.mean()
