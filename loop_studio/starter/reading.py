"""Teaches the text encoder to read captions before the UNet listens to it.

Trained jointly from nothing, the encoder forgets the words for shapes: they do not help a UNet that
cannot draw shapes yet, and a UNet that never hears them does not learn to draw them (measured: all
shapes came out of the encoder alike after 3,400 joint steps). Stable Diffusion, too, conditions on
a text encoder that was trained beforehand and is then left alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel

from loop_studio.starter.captions import (
    COLOURS,
    RELATIONS,
    SHAPES,
    TEXTURES,
    Description,
    Phrase,
    parse_caption,
)
from loop_studio.starter.training import StepLoss

BATCH = 256  # captions per step
_PHRASE_CHOICES = ((None, *SHAPES), (None, *COLOURS), (None, *TEXTURES), (0, 1, 2, 3, 4))
_CHOICES = (*_PHRASE_CHOICES, *_PHRASE_CHOICES, (None, *RELATIONS))


class Reader(nn.Module):
    """A text encoder with a linear answer to each question about a caption."""

    def __init__(self, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.answers = nn.Linear(text_encoder.config.hidden_size, sum(map(len, _CHOICES)))

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Logits of each question, (2B, choices), for tokens (B, L).

        They are read at the end of the text and at the last padding, so that all that follows the
        words tells the whole caption.
        """
        hidden = self.text_encoder(tokens).last_hidden_state
        ends = (tokens == self.text_encoder.config.eos_token_id).int().argmax(1)
        read = torch.cat([hidden[torch.arange(len(hidden)), ends], hidden[:, -1]])
        logits: tuple[Tensor, ...] = self.answers(read).split([len(c) for c in _CHOICES], dim=1)
        return logits


def truths_of(description: Description) -> list[int]:
    """The right choice for each question: of the first phrase, of the second, the relation."""
    absent = Phrase(shape="", count=0)
    first, second = (*description.phrases, absent)[:2]
    said = [
        value
        for phrase in (first, second)
        for value in (phrase.shape or None, phrase.colour, phrase.texture, phrase.count)
    ]
    return [c.index(v) for c, v in zip(_CHOICES, [*said, description.relation], strict=True)]


def reading_loss(reader: Reader, tokens: Tensor, captions: list[str]) -> StepLoss:
    """Cross-entropy, summed over the questions; tokens (N, L) of N captions of the world."""
    descriptions = [parse_caption(caption) for caption in captions]
    truths = torch.tensor([truths_of(d) for d in descriptions if d is not None])
    if len(truths) < len(captions):
        raise ValueError("a caption is not in the language of the starter's world")

    def loss_of(_step: int, generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(captions), (BATCH,), generator=generator)
        wanted = truths[rows].repeat(2, 1)
        logits = reader(tokens[rows])
        losses = [nn.functional.cross_entropy(x, wanted[:, i]) for i, x in enumerate(logits)]
        return torch.stack(losses).sum()

    return loss_of
