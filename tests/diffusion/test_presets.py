"""The presets against the memory estimate, on layouts of the real size without their weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from loop_studio.config import ProjectConfig
from loop_studio.diffusion.memory import estimate
from loop_studio.presets import PRESETS, Preset
from loop_studio.settings import STARTER

GIGABYTE = 1e9
FOR_DRIVERS = 1.0  # GB that the estimate does not count

DOWN = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
UP = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
LARGE_TEXT = CLIPTextConfig(
    hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
)
HUGE_TEXT = CLIPTextConfig(
    hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20,
    projection_dim=1280,
)  # fmt: skip


def sd15() -> dict[str, nn.Module]:
    unet = UNet2DConditionModel(
        sample_size=64, block_out_channels=(320, 640, 1280, 1280), down_block_types=DOWN,
        up_block_types=UP, cross_attention_dim=768, attention_head_dim=8,
    )  # fmt: skip
    return {
        "unet": unet,
        "vae": AutoencoderKL(sample_size=512, **VAE),
        "text_encoder": CLIPTextModel(LARGE_TEXT),
    }


def sdxl() -> dict[str, nn.Module]:
    unet = UNet2DConditionModel(
        sample_size=128, block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", *DOWN[:2]), up_block_types=(*UP[1:3], "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20),
        use_linear_projection=True, cross_attention_dim=2048, addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
    )  # fmt: skip
    return {
        "unet": unet,
        "vae": AutoencoderKL(sample_size=1024, force_upcast=True, **VAE),
        "text_encoder": CLIPTextModel(LARGE_TEXT),
        "text_encoder_2": CLIPTextModelWithProjection(HUGE_TEXT),
    }


def folder_of(path: Path, kind: str, build: Callable[[], dict[str, nn.Module]]) -> Path:
    """What the estimate reads of a model folder: layouts, and headers without tensors."""
    with torch.device("meta"):
        parts = build()
    path.mkdir()
    (path / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    for name, module in parts.items():
        (path / name).mkdir()
        config = dict(module.config) if name in ("unet", "vae") else {}
        (path / name / "config.json").write_text(json.dumps(config, default=str))
        stem = "model" if name.startswith("text") else "diffusion_pytorch_model"
        shapes = {key: {"shape": list(t.shape)} for key, t in module.state_dict().items()}
        header = json.dumps(shapes).encode()
        file = path / name / f"{stem}.safetensors"
        file.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


def needed(folder: Path, preset: Preset, **changes: object) -> float:
    config = ProjectConfig.from_values({**preset.settings, **changes})
    return estimate(folder, config).total / GIGABYTE


@pytest.mark.parametrize(
    ("name", "kind", "build"),
    [
        ("sd15", "StableDiffusionPipeline", sd15),
        ("sdxl", "StableDiffusionXLPipeline", sdxl),
    ],
)
def test_a_preset_fits_the_memory_that_it_is_named_after(tmp_path, name, kind, build) -> None:
    preset = next(preset for preset in PRESETS if preset.name == name)
    folder = folder_of(tmp_path / "model", kind, build)
    assert preset.memory_gb is not None
    assert needed(folder, preset) < preset.memory_gb - FOR_DRIVERS
    assert needed(folder, preset) == pytest.approx(preset.estimate_gb, abs=0.1)
    assert needed(folder, preset, gradient_checkpointing=False) > preset.memory_gb - FOR_DRIVERS


def test_every_preset_gives_a_reason_for_every_setting() -> None:
    assert PRESETS[0].model == STARTER
    for preset in PRESETS:
        ProjectConfig.from_values(preset.settings)
        assert all(choice.reason.endswith(".") for choice in preset.choices)
        assert preset.prompts is None or len(set(preset.prompts)) == len(preset.prompts) >= 24
