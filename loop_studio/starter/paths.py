"""Where the starter's weights lie. No tensor library: the web process reads it too."""

from __future__ import annotations

import shutil
from pathlib import Path

from loop_studio.settings import STARTER

WEIGHTS = Path(__file__).parent / "weights"
DIFFUSION_FOLDER = WEIGHTS / "diffusion"  # loads with StableDiffusionPipeline.from_pretrained
SCORER_FOLDER = WEIGHTS / "scorer"  # a CLIPModel, its tokenizer and image settings
EYE_WEIGHTS = WEIGHTS / "eye.safetensors"
REFEREE_WEIGHTS = WEIGHTS / "referee.safetensors"
MODEL_CARD = WEIGHTS / "MODEL_CARD.md"


def replace_folder(partial: Path, folder: Path) -> None:
    """Puts a finished folder in the place of another, which is gone afterwards."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def folder_of(model: str) -> str | Path:
    """What `from_pretrained` is given for a project's model."""
    return DIFFUSION_FOLDER if model == STARTER else model
