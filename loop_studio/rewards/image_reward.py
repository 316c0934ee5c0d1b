"""ImageReward: a BLIP that reads the prompt while looking at the picture, and a head on it.

Source: Xu et al. 2023, and THUDM/ImageReward's ImageReward.py: the first token of the text encoder
with cross-attention to the picture, five linear layers, then (r - 0.16717) / 1.03334. The weights
are published under BLIP's own names, which `transformers_names` translates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BlipConfig
from transformers.models.blip.modeling_blip import BlipTextModel, BlipVisionModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from loop_studio.errors import ModelUnusable
from loop_studio.rewards import weights
from loop_studio.rewards.aesthetic import head
from loop_studio.rewards.catalogue import BERT, IMAGE_REWARD
from loop_studio.rewards.two_towers import Preprocess, tokenizer_of
from loop_studio.settings import Settings

MEAN, STD = 0.16717362830052426, 1.0333394966054072
TOKENS = 35
CONFIG = BlipConfig(
    vision_config={
        "image_size": 224,
        "patch_size": 16,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "layer_norm_eps": 1e-6,
    },
    text_config={
        "vocab_size": 30524,
        "hidden_size": 768,
        "encoder_hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "max_position_embeddings": 512,
    },
)

_VISION = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^norm\.", "post_layernorm."),
    (r"^blocks\.", "encoder.layers."),
    (r"\.attn\.proj\.", ".self_attn.projection."),
    (r"\.attn\.", ".self_attn."),
    (r"\.norm([12])\.", r".layer_norm\1."),
)


class ImageReward:
    """Reads prompt and picture together."""

    def __init__(
        self,
        vision: nn.Module,
        text: nn.Module,
        layers: nn.Module,
        tokenizer: Any,
        preprocess: Preprocess,
        version: str,
    ) -> None:
        self._vision, self._text, self._head = vision.eval(), text.eval(), layers.eval()
        self._tokenizer, self._preprocess = tokenizer, preprocess
        self._device = "cpu"
        self.version = version

    def on(self, device: str) -> ImageReward:
        """This model on a device."""
        for part in (self._vision, self._text, self._head):
            part.to(device)
        self._device = device
        return self

    @torch.no_grad()
    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """About -2.5 to 2; 0 is an average picture of a diffusion model."""
        tokens = self._tokenizer(
            prompts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
        ).to(self._device)
        seen = self._vision(self._preprocess(images).to(self._device)).last_hidden_state
        read = self._text(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:-1], device=seen.device).long(),
        ).last_hidden_state[:, 0]
        return [(float(reward) - MEAN) / STD for reward in self._head(read).squeeze(-1)]


def transformers_names(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The published weights as those of `vision`, `text` and `mlp`, by transformers' names."""
    parts: dict[str, dict[str, Tensor]] = {"vision": {}, "text": {}, "mlp": {}}
    for name, tensor in state.items():
        if name.startswith("blip.visual_encoder."):
            own = name.removeprefix("blip.visual_encoder.")
            for pattern, replacement in _VISION:
                own = re.sub(pattern, replacement, own)
            parts["vision"][own] = tensor
        elif name.startswith("blip.text_encoder."):
            parts["text"][name.removeprefix("blip.text_encoder.")] = tensor
        elif name.startswith("mlp."):
            parts["mlp"][name.removeprefix("mlp.")] = tensor
    return parts


def load(file: Path, beside: Path, config: BlipConfig = CONFIG) -> ImageReward:
    """The model from its weights, and its tokenizer from `beside`; raises ModelUnusable."""
    parts = transformers_names(load_file(file))
    vision = BlipVisionModel(config.vision_config)
    text = BlipTextModel(config.text_config, add_pooling_layer=False)
    for module, own in ((vision, parts["vision"]), (text, parts["text"])):
        missing = sorted(set(module.state_dict()) - set(own))
        if missing:
            raise ModelUnusable(
                f"{file} lacks {missing[0]}, so it is not ImageReward; convert it again as "
                "docs/rewards.md says."
            )
        module.load_state_dict(own, strict=False)
    layers = head(config.text_config.hidden_size, parts["mlp"])
    prepare = _prepare(config.vision_config.image_size)
    version = weights.fingerprint(file)
    return ImageReward(vision, text, layers, tokenizer_of(beside), prepare, version)


def _prepare(size: int) -> Preprocess:
    """The short side scaled to `size`, the middle cut out; CLIP's mean and deviation."""
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )

    def prepare(images: list[Image]) -> Tensor:
        pixels: Tensor = processor(images=images, return_tensors="pt").pixel_values
        return pixels

    return prepare


def build(name: str, settings: Settings, values: Mapping[str, str], device: str) -> ImageReward:
    """What the catalogue's `image_reward` loads."""
    file = weights.own_folder(settings, IMAGE_REWARD) / "model.safetensors"
    beside = weights.folder_of(settings, BERT, with_weights=False)
    return load(file, beside).on(device)
