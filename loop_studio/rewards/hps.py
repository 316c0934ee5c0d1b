"""HPS v2.1: a CLIP ViT-H/14 fitted to what people preferred.

Source: Wu et al. 2023, "Human Preference Score v2", and tgxs002/HPSv2's img_score.py: the cosine
of picture and prompt, the picture scaled to fit and padded with black. The weights are published
under open_clip's names for the parts of a CLIP, which `transformers_names` translates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from PIL import ImageOps
from PIL.Image import Image, Resampling
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from loop_studio.errors import ModelUnusable
from loop_studio.rewards import weights
from loop_studio.rewards.catalogue import CLIP_H, HPS
from loop_studio.rewards.two_towers import Preprocess, TwoTowers, processor_of, tokenizer_of
from loop_studio.settings import Settings

_PARTS = (
    (r"^visual\.class_embedding$", "vision_model.embeddings.class_embedding"),
    (r"^visual\.positional_embedding$", "vision_model.embeddings.position_embedding.weight"),
    (r"^visual\.conv1\.", "vision_model.embeddings.patch_embedding."),
    (r"^visual\.ln_pre\.", "vision_model.pre_layrnorm."),
    (r"^visual\.ln_post\.", "vision_model.post_layernorm."),
    (r"^visual\.proj$", "visual_projection.weight"),
    (r"^visual\.transformer\.resblocks\.", "vision_model.encoder.layers."),
    (r"^token_embedding\.", "text_model.embeddings.token_embedding."),
    (r"^positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"^ln_final\.", "text_model.final_layer_norm."),
    (r"^text_projection$", "text_projection.weight"),
    (r"^transformer\.resblocks\.", "text_model.encoder.layers."),
    (r"\.ln_([12])\.", r".layer_norm\1."),
    (r"\.attn\.", ".self_attn."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)
_TRANSPOSED = ("visual_projection.weight", "text_projection.weight")
_IN_PROJECTION = re.compile(r"(.*)\.in_proj_(weight|bias)")


class HumanPreference:
    """Cosine of picture and prompt."""

    def __init__(self, towers: TwoTowers, version: str) -> None:
        self._towers = towers
        self.version = version

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """About 0.2 to 0.35; a difference of 0.01 is seen."""
        return [float(cosine) for cosine in self._towers.cosines(images, prompts)]


def transformers_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A CLIP's weights from open_clip's names to transformers' own."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for pattern, replacement in _PARTS:
            name = re.sub(pattern, replacement, name)
        joined = _IN_PROJECTION.fullmatch(name)
        if joined is None:
            found[name] = tensor.T.contiguous() if name in _TRANSPOSED else tensor
            continue
        for part, own in zip("qkv", tensor.chunk(3), strict=True):
            found[f"{joined[1]}.{part}_proj.{joined[2]}"] = own.contiguous()
    return found


def fitted(size: int, prepare: Preprocess) -> Preprocess:
    """`prepare` of pictures that were scaled to fit a square and padded with black."""

    def prepared(images: list[Image]) -> Tensor:
        square = (size, size)
        return prepare([ImageOps.pad(one, square, Resampling.BICUBIC, "black") for one in images])

    return prepared


def load(file: Path, beside: Path, device: str) -> TwoTowers:
    """The model from its weights, and its shape, tokenizer and picture settings from `beside`."""
    config = CLIPConfig.from_pretrained(beside)
    model = CLIPModel(config)
    state = transformers_names(load_file(file))
    missing = sorted(set(model.state_dict()) - set(state))
    if missing:
        raise ModelUnusable(
            f"{file} lacks {missing[0]}, so it is not HPS v2.1; convert it again as "
            "docs/rewards.md says."
        )
    model.load_state_dict(state, strict=False)
    size = config.vision_config.image_size
    return TwoTowers(model, tokenizer_of(beside), fitted(size, processor_of(beside)), device)


def build(name: str, settings: Settings, values: Mapping[str, str], device: str) -> HumanPreference:
    """What the catalogue's `hps_v2` loads."""
    file = weights.own_folder(settings, HPS) / "model.safetensors"
    beside = weights.folder_of(settings, CLIP_H, with_weights=False)
    return HumanPreference(load(file, beside, device), weights.fingerprint(file))
