"""The LAION aesthetic predictor, v2: a small head on what CLIP ViT-L/14 sees.

Source: christophschuhmann/improved-aesthetic-predictor (sac+logos+ava1-l14-linearMSE): five linear
layers without any non-linearity between them, on the picture's embedding of length 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL.Image import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection

from loop_studio.errors import ModelUnusable
from loop_studio.rewards import weights
from loop_studio.rewards.catalogue import AESTHETIC, CLIP_L
from loop_studio.rewards.two_towers import Preprocess, processor_of
from loop_studio.settings import Settings

WIDTHS = (1024, 128, 64, 16, 1)
# In the published head, dropout stands between the first four: it does nothing here.
PLACES = (0, 2, 4, 6, 7)


def head(width: int, state: Mapping[str, Tensor], prefix: str = "layers.") -> nn.Sequential:
    """Five linear layers from `width` to 1, with the weights of a published head.

    Raises ModelUnusable for weights of another shape.
    """
    shapes = zip((width, *WIDTHS), WIDTHS, strict=False)
    layers = nn.Sequential(*(nn.Linear(before, after) for before, after in shapes))
    try:
        layers.load_state_dict(
            {
                f"{own}.{kind}": state[f"{prefix}{place}.{kind}"]
                for own, place in enumerate(PLACES)
                for kind in ("weight", "bias")
            }
        )
    except (KeyError, RuntimeError) as error:
        raise ModelUnusable(
            "The head's weights are not the published ones; convert them again as docs/rewards.md "
            "says."
        ) from error
    return layers.eval()


class Aesthetic:
    """How beautiful a picture is, whatever its prompt."""

    def __init__(
        self, clip: nn.Module, layers: nn.Module, preprocess: Preprocess, version: str, device: str
    ) -> None:
        self._clip = clip.to(device).eval()
        self._head = layers.to(device)
        self._preprocess = preprocess
        self._device = device
        self.version = version

    @torch.no_grad()
    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """1 to 10, as people rated photographs and pictures."""
        seen = self._clip(pixel_values=self._preprocess(images).to(self._device)).image_embeds
        judged = self._head(nn.functional.normalize(seen, dim=-1)).squeeze(-1)
        return [float(score) for score in judged]


def load(file: Path, clip_folder: Path, device: str) -> Aesthetic:
    """The head from its file, on a CLIP's vision tower."""
    clip = CLIPVisionModelWithProjection.from_pretrained(
        clip_folder, use_safetensors=True, dtype=torch.float32
    )
    layers = head(clip.config.projection_dim, load_file(file))
    version = f"{weights.fingerprint(file)}-{weights.fingerprint_of(clip_folder)}"
    return Aesthetic(clip, layers, processor_of(clip_folder), version, device)


def build(name: str, settings: Settings, values: Mapping[str, str], device: str) -> Aesthetic:
    """What the catalogue's `aesthetic` loads."""
    file = weights.own_folder(settings, AESTHETIC) / "model.safetensors"
    return load(file, weights.folder_of(settings, CLIP_L), device)
