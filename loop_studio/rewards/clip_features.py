"""What a CLIP sees in a picture, beside what it reads in the prompt: features for a learned reward.

CLIP's own embedding knows what a caption would say. People also like what no caption says, such as
a dark ground or a thing on the left, and that is still in its first layer: the mean and the spread
over all patches, and how the left half differs from the right one and the upper from the lower.
"""

from __future__ import annotations

from functools import cached_property
from math import isqrt
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from loop_studio.starter.paths import SCORER_FOLDER
from loop_studio.starter.scorer import version_of


class ClipFeatures:
    """Features by one CLIP folder; loads its weights at the first call."""

    def __init__(self, folder: Path = SCORER_FOLDER) -> None:
        self.folder = folder
        self.version = f"clip-{version_of(folder)}-1"  # the last part: which views are taken

    @torch.no_grad()
    def extract(self, images: list[Image], prompts: list[str]) -> NDArray[np.float16]:
        """One row per picture and its prompt, (N, D)."""
        tokens = self._tokenizer(
            prompts,
            padding=True,
            truncation=True,
            max_length=self._tokenizer.model_max_length,
            return_tensors="pt",
        )
        pixels = self._processor(images=images, return_tensors="pt").pixel_values
        output = self._model(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            pixel_values=pixels,
            output_hidden_states=True,
        )
        hidden = output.vision_model_output.hidden_states
        views = [
            hidden[0][:, 1:].mean(1),
            *_in_place(hidden[1]),
            hidden[-1][:, 1:].mean(1),
            output.image_embeds * output.text_embeds * output.image_embeds.shape[-1] ** 0.5,
        ]
        rows: NDArray[np.float16] = torch.cat(views, 1).cpu().numpy().astype(np.float16)
        return rows

    @cached_property
    def _model(self) -> CLIPModel:
        model = CLIPModel.from_pretrained(self.folder, use_safetensors=True, dtype=torch.float32)
        assert isinstance(model, CLIPModel)
        return model.eval()

    @cached_property
    def _tokenizer(self) -> CLIPTokenizer:
        tokenizer = CLIPTokenizer.from_pretrained(self.folder)
        assert isinstance(tokenizer, CLIPTokenizer)
        return tokenizer

    @cached_property
    def _processor(self) -> CLIPImageProcessorPil:
        processor = CLIPImageProcessorPil.from_pretrained(self.folder)
        assert isinstance(processor, CLIPImageProcessorPil)
        return processor


def _in_place(hidden: Tensor) -> list[Tensor]:
    """Of patches (B, 1 + n * n, C): mean, spread, and differences of halves, (B, C) each."""
    side = isqrt(hidden.shape[1] - 1)
    grid = hidden[:, 1:].unflatten(1, (side, side))
    half = side // 2
    return [
        grid.mean((1, 2)),
        grid.std((1, 2)),
        grid[:, :, :half].mean((1, 2)) - grid[:, :, -half:].mean((1, 2)),
        grid[:, :half].mean((1, 2)) - grid[:, -half:].mean((1, 2)),
    ]
