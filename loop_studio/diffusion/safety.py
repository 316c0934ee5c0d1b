"""The safety checker that a pipeline brings: which pictures are sensitive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPImageProcessorPil

from loop_studio.errors import ModelUnusable
from loop_studio.model_folder import CHECKER

AT_ONCE = 16


class SafetyChecker:
    """diffusers' own checker with its image processor."""

    def __init__(
        self, checker: StableDiffusionSafetyChecker, processor: CLIPImageProcessorPil
    ) -> None:
        self.checker = checker.eval().requires_grad_(False)
        self.processor = processor

    @classmethod
    def load(cls, folder: Path, device: torch.device, dtype: torch.dtype) -> SafetyChecker:
        """The checker of a model folder; raises ModelUnusable with a sentence."""
        try:
            checker = StableDiffusionSafetyChecker.from_pretrained(
                str(folder), subfolder=CHECKER, dtype=dtype, use_safetensors=True
            )
            processor = CLIPImageProcessorPil.from_pretrained(
                str(folder), subfolder="feature_extractor"
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelUnusable(
                f"The safety checker of {folder} could not be loaded ({type(error).__name__}). "
                "Download the model again, or set content to off in the settings."
            ) from error
        return cls(checker.to(device), processor)

    def sensitive(self, pictures: NDArray[np.uint8]) -> list[bool]:
        """Its verdict on each picture (N, H, W, 3)."""
        verdicts: list[bool] = []
        for first in range(0, len(pictures), AT_ONCE):
            some = [Image.fromarray(picture) for picture in pictures[first : first + AT_ONCE]]
            seen = self.processor(images=some, return_tensors="pt").pixel_values
            seen = seen.to(self.checker.device, self.checker.dtype)
            # It blackens what it is given beside: nothing of ours.
            _, found = self.checker(seen, np.zeros((len(some), 1)))
            verdicts += [bool(verdict) for verdict in found]
        return verdicts
