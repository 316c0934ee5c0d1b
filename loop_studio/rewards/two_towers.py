"""CLIP and SigLIP: pictures and prompts in one space, and how near they lie in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from loop_studio.errors import ModelUnusable

_KINDS = ("clip", "siglip")
_SIGLIP_TOKENS = 64  # it was trained on texts padded to this length

Preprocess = Callable[[list[Image]], Tensor]


class TwoTowers:
    """A CLIP or SigLIP with its tokenizer and its way of preparing pictures."""

    def __init__(self, model: Any, tokenizer: Any, preprocess: Preprocess, device: str) -> None:
        self._model = model.to(device).eval()
        self._tokenizer = tokenizer
        self._preprocess = preprocess
        self._device = device

    @torch.no_grad()
    def cosines(self, images: list[Image], prompts: list[str]) -> Tensor:
        """Cosine similarity of each picture and its own prompt, (B,)."""
        output = self._model(
            **self._tokens(prompts).to(self._device),
            pixel_values=self._preprocess(images).to(self._device),
        )
        near: Tensor = (output.image_embeds * output.text_embeds).sum(-1)
        return near.float().cpu()

    @property
    def scale(self) -> float:
        """What the model itself multiplies cosines by."""
        return float(self._model.logit_scale.detach().exp())

    def _tokens(self, prompts: list[str]) -> Any:
        text = self._model.config.text_config
        if self._model.config.model_type == "siglip":
            length = min(_SIGLIP_TOKENS, text.max_position_embeddings)
            shape: dict[str, Any] = {"padding": "max_length", "max_length": length}
            names = ["input_ids"]
        else:
            shape = {"padding": True, "max_length": text.max_position_embeddings}
            names = ["input_ids", "attention_mask"]
        tokens = self._tokenizer(prompts, truncation=True, return_tensors="pt", **shape)
        return type(tokens)({name: tokens[name] for name in names})


def load(folder: Path, device: str, processor_folder: Path | None = None) -> TwoTowers:
    """The model of a folder; tokenizer and picture settings may lie in another one.

    Raises ModelUnusable for a folder that holds something else.
    """
    try:
        model = AutoModel.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )
        if model.config.model_type not in _KINDS:
            raise ModelUnusable(
                f"{folder} holds a {model.config.model_type}; choose a CLIP or a SigLIP."
            )
        beside = processor_folder or folder
        return TwoTowers(model, tokenizer_of(beside), processor_of(beside), device)
    except (OSError, ValueError, KeyError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelUnusable(
            f"{folder} could not be loaded as a CLIP or SigLIP ({first}). Download it again, or "
            "choose another model."
        ) from error


def tokenizer_of(folder: Path) -> Any:
    """The tokenizer of a folder."""
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def processor_of(folder: Path) -> Preprocess:
    """How a folder's pictures are prepared, by Pillow alone: (B, 3, H, W)."""
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)

    def prepare(images: list[Image]) -> Tensor:
        pixels: Tensor = processor(images=images, return_tensors="pt").pixel_values
        return pixels

    return prepare
