"""Where the starter's weights lie. Standard library only."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
DIFFUSION_FOLDER = WEIGHTS / "diffusion"  # loads with StableDiffusionPipeline.from_pretrained
SCORER_FOLDER = WEIGHTS / "scorer"  # a CLIPModel, its tokenizer and image settings
EYE_WEIGHTS = WEIGHTS / "eye.safetensors"
REFEREE_WEIGHTS = WEIGHTS / "referee.safetensors"
MODEL_CARD = WEIGHTS / "MODEL_CARD.md"
