"""What a prompt becomes before the UNet sees it: one encoder's states for Stable Diffusion, two
encoders' states, a pooled vector and the picture's size for SDXL.

Each text is encoded once, alone, and kept, so that it does not depend on its company.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, PreTrainedTokenizerBase

TEXTS_KEPT = 1024


@dataclass(frozen=True)
class Conditioning:
    """What the UNet is told about each of B samples, in its own dtype."""

    states: Tensor  # (B, L, E), for cross-attention
    pooled: Tensor | None = None  # (B, P), SDXL
    size: Tensor | None = None  # (B, 6), SDXL: original size, crop and target size in pixels

    @property
    def added(self) -> dict[str, Tensor] | None:
        """diffusers' `added_cond_kwargs`."""
        if self.pooled is None or self.size is None:
            return None
        return {"text_embeds": self.pooled, "time_ids": self.size}

    @classmethod
    def batch(cls, rows: Sequence[Conditioning]) -> Conditioning:
        """One after the other; all of one model."""
        pooled = [row.pooled for row in rows if row.pooled is not None]
        sizes = [row.size for row in rows if row.size is not None]
        return cls(
            torch.cat([row.states for row in rows]),
            torch.cat(pooled) if pooled else None,
            torch.cat(sizes) if sizes else None,
        )


class Conditioner(Protocol):
    """From texts to conditioning, on the UNet's device and in its dtype."""

    def __call__(self, texts: Sequence[str]) -> Conditioning:
        """Of B texts, a row each."""
        ...

    def negative(self, count: int) -> Conditioning:
        """What guidance leads away from, `count` times."""
        ...


class TextEncoder:
    """Stable Diffusion 1.x and 2.x: the last states of one encoder; the negative is no text."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, encoder: CLIPTextModel, dtype: torch.dtype
    ) -> None:
        self.tokenizer = tokenizer
        self.encoder = encoder.eval().requires_grad_(False)
        self._dtype = dtype
        self._kept: OrderedDict[str, Conditioning] = OrderedDict()

    def __call__(self, texts: Sequence[str]) -> Conditioning:
        """Of B texts, a row each."""
        return Conditioning.batch([self._row(text) for text in texts])

    def negative(self, count: int) -> Conditioning:
        """The empty text, `count` times."""
        return self([""] * count)

    def _row(self, text: str) -> Conditioning:
        if text not in self._kept:
            with torch.no_grad():
                self._kept[text] = self._encode(text)
            if len(self._kept) > TEXTS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(text)
        return self._kept[text]

    def _encode(self, text: str) -> Conditioning:
        return Conditioning(self.encoder(self._tokens(self.tokenizer, text))[0].to(self._dtype))

    def _tokens(self, tokenizer: PreTrainedTokenizerBase, text: str) -> Tensor:
        tokens = tokenizer(text, padding="max_length", truncation=True, return_tensors="pt")
        ids: Tensor = tokens.input_ids.to(self.encoder.device)
        return ids


class TwoTextEncoders(TextEncoder):
    """SDXL: the states before the last of both encoders side by side, and the second's pooled one.

    `zero_negative` is the folder's `force_zeros_for_empty_prompt`: the negative is then zeros and
    not the empty text. Pictures are asked for uncropped at `pixels` (height, width), the size they
    have. Source: Podell et al. 2023, section 2.2; diffusers' pipeline_stable_diffusion_xl.py.
    """

    def __init__(
        self,
        first: tuple[PreTrainedTokenizerBase, CLIPTextModel],
        second: tuple[PreTrainedTokenizerBase, CLIPTextModelWithProjection],
        dtype: torch.dtype,
        *,
        pixels: tuple[int, int],
        zero_negative: bool,
    ) -> None:
        super().__init__(*first, dtype)
        self.second_tokenizer = second[0]
        self.second_encoder = second[1].eval().requires_grad_(False)
        self._zero_negative = zero_negative
        self._size = torch.tensor([[*pixels, 0, 0, *pixels]], dtype=dtype)

    def negative(self, count: int) -> Conditioning:
        """Zeros or the empty text, as the folder says, `count` times."""
        row = self._row("")
        if self._zero_negative:
            assert row.pooled is not None
            zeros = torch.zeros_like
            row = Conditioning(zeros(row.states), zeros(row.pooled), row.size)
        return Conditioning.batch([row] * count)

    def _encode(self, text: str) -> Conditioning:
        one = self.encoder(self._tokens(self.tokenizer, text), output_hidden_states=True)
        ids = self._tokens(self.second_tokenizer, text)
        two = self.second_encoder(ids, output_hidden_states=True)
        states = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], dim=-1)
        return Conditioning(
            states.to(self._dtype), two.text_embeds.to(self._dtype), self._size.to(states.device)
        )
