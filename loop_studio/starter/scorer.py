"""The scorer: a small CLIP that says how well a picture of the starter fits its prompt."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from loop_studio.starter.paths import SCORER_FOLDER

SIDE = 64  # pixels
MEAN, STD = 0.5, 0.5  # of pixel values in [0, 1]; also in the folder's preprocessor_config.json
PREPROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "do_center_crop": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [MEAN] * 3,
    "image_std": [STD] * 3,
}
SCALE = 10.0  # cosine similarity times this: a typical within-group spread is then about 1


def version_of(folder: Path) -> str:
    """The first 12 digits of the weights' sha256; `missing` where there are none."""
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return "missing"
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:12]


VERSION = version_of(SCORER_FOLDER)


def pixels_of(pictures: np.ndarray) -> Tensor:
    """Pictures (B, 64, 64, 3) uint8 to what the CLIP model takes, (B, 3, 64, 64) in [-1, 1]."""
    values = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    return (values - MEAN) / STD


def picture_array(images: list[Image.Image]) -> np.ndarray:
    """Pictures of any size as (B, 64, 64, 3) uint8."""
    scaled = [
        image.convert("RGB")
        if image.size == (SIDE, SIDE)
        else image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        for image in images
    ]
    return np.stack([np.asarray(image) for image in scaled])


class Scorer:
    """Scores pictures against prompts; loads its weights at the first call."""

    def __init__(self, folder: Path = SCORER_FOLDER) -> None:
        self.folder = folder

    @torch.no_grad()
    def score(self, images: list[Image.Image], prompts: list[str]) -> list[float]:
        """`SCALE` times the cosine similarity of each picture and its prompt."""
        if not images:
            return []
        tokens = self._tokenizer(
            prompts,
            padding=True,
            truncation=True,
            max_length=self._tokenizer.model_max_length,
            return_tensors="pt",
        )
        output = self._model(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            pixel_values=pixels_of(picture_array(images)),
        )
        cosine = (output.image_embeds * output.text_embeds).sum(-1)
        return [SCALE * float(value) for value in cosine]

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
