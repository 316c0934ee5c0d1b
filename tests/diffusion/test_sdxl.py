"""SDXL through the same engine: two encoders, pooled states and sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loop_studio import model_folder
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.rl.fidelity import replay_deviation
from loop_studio.rl.types import Sampler
from tests import tiny
from tests.diffusion import families
from tests.diffusion.judging import largest_difference, one_group, rolled_out, update

SAMPLER = Sampler(4, 3.0, 1.0)
PROMPTS, SEEDS = ["a cat", "a blue dog"], [5, 6]


@pytest.fixture(params=[True, False], ids=["zeros", "empty text"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    tiny.xl_pipeline(zero_negative=request.param).save_pretrained(tmp_path / "xl")
    return tmp_path / "xl"


def load(folder: Path, dtype: torch.dtype = torch.float32) -> StableDiffusionPolicy:
    policy = StableDiffusionPolicy.load(folder, tiny.SHAPE, device=torch.device("cpu"), dtype=dtype)
    for number, slot in enumerate(("live", "learner")):
        tiny.stir(policy, slot, seed=number)
    return policy


def test_the_base_makes_the_very_pictures_of_diffusers(folder: Path) -> None:
    assert model_folder.fault(folder) is None
    ours = load(folder).sample(PROMPTS, SEEDS, SAMPLER, "base")
    assert ours.std() > 5
    theirs = families.pictures(families.plain(folder), PROMPTS, SEEDS, SAMPLER)
    assert largest_difference(ours, theirs) < 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
def test_ratio_is_one_and_an_update_learns(
    tmp_path: Path, dtype: torch.dtype, guidance_scale: float
) -> None:
    tiny.xl_pipeline().save_pretrained(tmp_path / "xl")
    policy = load(tmp_path / "xl", dtype)
    sampler = Sampler(6, guidance_scale, 1.0)
    stored = one_group(policy, "a cat", [1, 2, 3, 4], sampler).trajectories
    count = stored.log_probs.shape[1]
    assert [replay_deviation(policy, stored, "live", step=s) for s in range(count)] == [0.0] * count
    assert replay_deviation(policy, stored, "learner", step=0) > 0
    before = policy.adapters.state("learner")
    after = update(policy, rolled_out(policy, sampler=sampler))
    assert all(not torch.equal(before[name], after[name]) for name in before if "lora_B" in name)


def test_in_half_precision_pictures_are_decoded_in_float32_where_the_folder_says_so(
    tmp_path: Path,
) -> None:
    pipeline = tiny.xl_pipeline()
    assert pipeline.vae.config.force_upcast
    pipeline.save_pretrained(tmp_path / "xl")
    policy = load(tmp_path / "xl", torch.float16)
    assert (policy.vae.dtype, policy.dtype) == (torch.float32, torch.float16)
    assert policy.sample(["a cat"], [1], SAMPLER, "live").shape == (1, 32, 32, 3)


def test_what_is_missing_of_the_second_encoder_is_named(folder: Path) -> None:
    weights = folder / "text_encoder_2" / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-100])
    assert "text_encoder_2/model.safetensors is truncated" in (model_folder.fault(folder) or "")
    weights.write_bytes(kept)
    (folder / "tokenizer_2" / "tokenizer.json").unlink()
    assert "its tokenizer_2 folder has no vocabulary" in (model_folder.fault(folder) or "")
