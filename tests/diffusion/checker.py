"""A tiny safety checker of the real classes, built from configuration."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessorPil

_VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}


def save_checker(folder: Path, threshold: float = 0.0) -> Path:
    """Put a checker into a model folder. Its verdict hangs on `threshold`: below -1 it flags every
    picture, above 1 none; between, on the angle between a picture and one random concept.
    """
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = CLIPConfig(projection_dim=8, vision_config=_VISION)
        checker = StableDiffusionSafetyChecker(config)
        checker.concept_embeds.data.copy_(torch.randn(1, 8).expand(17, 8))
        checker.special_care_embeds.data.copy_(torch.randn(3, 8))
    checker.concept_embeds_weights.data.fill_(threshold)
    checker.special_care_embeds_weights.data.fill_(2.0)
    checker.save_pretrained(folder / "safety_checker")
    size = {"shortest_edge": 16}
    processor = CLIPImageProcessorPil(size=size, crop_size={"height": 16, "width": 16})
    processor.save_pretrained(folder / "feature_extractor")
    index = folder / "model_index.json"
    parts = json.loads(index.read_text())
    parts["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    parts["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    index.write_text(json.dumps(parts))
    return folder
