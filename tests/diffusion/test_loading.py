"""A model folder becomes a policy, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from loop_studio import model_folder
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.errors import Invalid, ModelUnusable
from loop_studio.rl.types import Sampler
from loop_studio.settings import from_environment
from tests import tiny


def load(folder: Path) -> StableDiffusionPolicy:
    return StableDiffusionPolicy.load(
        folder, tiny.SHAPE, device=torch.device("cpu"), dtype=torch.float32
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.save_folder(tmp_path / "model")


def test_a_folder_of_fp16_weights_alone_loads(folder: Path, tmp_path: Path) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.to(torch.float16).save_pretrained(tmp_path / "halves", variant="fp16")
    assert model_folder.fault(tmp_path / "halves") is None
    pictures = load(tmp_path / "halves").sample(["a"], [1], Sampler(4, 3.0, 1.0), "base")
    assert pictures.shape[0] == 1


def test_pickled_weights_are_never_read(folder: Path) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(ModelUnusable, match="could not be loaded as Stable Diffusion"):
        load(folder)


def test_a_pipeline_of_another_kind_is_refused_by_name(folder: Path) -> None:
    index = folder / "model_index.json"
    kind = {"_class_name": "FluxPipeline"}
    index.write_text(json.dumps(json.loads(index.read_text()) | kind))
    with pytest.raises(ModelUnusable, match="is a FluxPipeline; LOOP Studio trains"):
        load(folder)


def test_attention_is_pytorchs_own_and_what_is_not_installed_is_told_in_one_sentence(
    folder: Path,
) -> None:
    processors = {type(one).__name__ for one in load(folder).unet.attn_processors.values()}
    assert processors == {"AttnProcessor2_0"}
    with pytest.raises(ModelUnusable, match=r"LOOP_STUDIO_ATTENTION is xformers.*Unset it"):
        StableDiffusionPolicy.load(
            folder,
            tiny.SHAPE,
            device=torch.device("cpu"),
            dtype=torch.float32,
            attention="xformers",
        )


def test_an_attention_that_nobody_knows_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOOP_STUDIO_ATTENTION", "flash9")
    with pytest.raises(Invalid, match=r"LOOP_STUDIO_ATTENTION is 'flash9'.*'auto' or 'xformers'"):
        from_environment()
