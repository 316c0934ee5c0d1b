"""A published adapter, read back by the studio and by diffusers, makes the same pictures."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from safetensors import safe_open

from loop_studio.diffusion.adapters import LoraShape
from loop_studio.diffusion.lora_file import (
    Checkpoint,
    diffusers_lora,
    kohya_lora,
    optimizer_state,
    pack_checkpoint,
    restore_optimizer,
    unpack_checkpoint,
)
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.errors import ModelUnusable
from loop_studio.rl.types import Sampler
from tests import tiny
from tests.diffusion import families
from tests.diffusion.judging import SAMPLER, adamw, largest_difference, rolled_out, same, update

PROMPTS, SEEDS = ["a cat", "a dog"], [5, 6]


def checkpoint(policy: StableDiffusionPolicy, shape: LoraShape) -> Checkpoint:
    return Checkpoint(policy.adapters.state("live"), shape, optimizer={}, scaler={})


def test_the_lines_in_the_readme_make_the_studios_picture(tmp_path: Path) -> None:
    """The LoRA acts in the first steps alone, in the studio and there."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(pipeline\.scheduler.*?)```", readme, re.DOTALL)
    policy = tiny.policy()
    sampler = Sampler(20, 3.0, 1.0, lora_steps=12)
    (ours,) = policy.sample(["a red circle"], [7], sampler, "live")
    file = tmp_path / "lora.safetensors"
    file.write_bytes(diffusers_lora(checkpoint(policy, tiny.SHAPE), {"loop.update": "1"}))
    names = {"torch": torch, "DDIMScheduler": DDIMScheduler, "file": str(file)}
    names["pipeline"] = families.plain(families.save(tmp_path / "model", "SD epsilon"))
    exec(lines, names)
    assert largest_difference(ours, np.array(names["image"])) < 2
    (everywhere,) = policy.sample(["a red circle"], [7], replace(sampler, lora_steps=None), "live")
    assert largest_difference(ours, everywhere) > 3


def test_a_checkpoint_read_into_a_fresh_model_makes_the_same_pictures_pixel_for_pixel() -> None:
    policy = tiny.policy()
    ours = policy.sample(PROMPTS, SEEDS, SAMPLER, "live")
    found = unpack_checkpoint(pack_checkpoint(checkpoint(policy, tiny.SHAPE)))
    assert found.shape == tiny.SHAPE
    other = tiny.policy(shape=LoraShape(2, 1.0, "attention"))
    other.adapters.load("live", found.adapter, found.shape)
    assert same(other.adapters.state("live"), policy.adapters.state("live"))
    assert (other.sample(PROMPTS, SEEDS, SAMPLER, "live") == ours).all()


def test_an_update_after_a_reload_is_bit_identical_to_not_having_stopped() -> None:
    policy = tiny.policy()
    groups = rolled_out(policy, 4, k=2, sampler=Sampler(4, 1.0, 1.0))
    first, second = groups[:2], groups[2:]
    optimizer = adamw(policy)
    update(policy, first, optimizer=optimizer, seed=1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    data = pack_checkpoint(
        Checkpoint(
            policy.adapters.state("learner"),
            tiny.SHAPE,
            optimizer_state(optimizer, policy.adapters.parameters("learner")),
            scaler.state_dict(),
        )
    )
    expected = update(policy, second, optimizer=optimizer, seed=2)

    resumed = tiny.policy(trained=False)
    resumed.adapters.load("live", policy.adapters.state("live"), tiny.SHAPE)
    found = unpack_checkpoint(data)
    resumed.adapters.load("learner", found.adapter, found.shape)
    continued = adamw(resumed)
    restore_optimizer(continued, resumed.adapters.parameters("learner"), found.optimizer)
    assert same(update(resumed, second, optimizer=continued, seed=2), expected)
    assert torch.amp.GradScaler("cpu").state_dict() != scaler.state_dict() == found.scaler

    forgetful = tiny.policy(trained=False)
    forgetful.adapters.load("learner", found.adapter, found.shape)
    assert not same(update(forgetful, second, seed=2), expected)  # the moments matter


def test_an_empty_optimizer_state_starts_afresh() -> None:
    policy = tiny.policy()
    optimizer = adamw(policy)
    assert optimizer_state(optimizer, policy.adapters.parameters("learner")) == {}
    restore_optimizer(optimizer, policy.adapters.parameters("learner"), {})
    assert not optimizer.state


def test_a_damaged_checkpoint_gives_one_sentence() -> None:
    stored = checkpoint(tiny.policy(), tiny.SHAPE)
    data = pack_checkpoint(stored)
    for damaged in (b"", data[:8], data[:200], data[:-1], diffusers_lora(stored, {})):
        with pytest.raises(ModelUnusable, match="file of this version is damaged"):
            unpack_checkpoint(damaged)


def test_a_kohya_file_names_the_true_alpha_and_what_people_should_know(tmp_path: Path) -> None:
    policy = tiny.policy()
    facts = {"loop.update": "7"}
    data = kohya_lora(checkpoint(policy, tiny.SHAPE), facts, name="Starter-u7")
    (tmp_path / "lora.safetensors").write_bytes(data)
    with safe_open(tmp_path / "lora.safetensors", "pt") as file:
        keys, header = list(file.keys()), file.metadata()
        alphas = {file.get_tensor(key).item() for key in keys if key.endswith(".alpha")}
    assert alphas == {8.0}
    assert all(key.startswith("lora_unet_") for key in keys)
    layers = {name.split(".lora_")[0] for name in policy.adapters.state("live")}
    assert len(keys) == 3 * len(layers)
    assert header["ss_network_dim"] == "4"
    assert header["ss_network_alpha"] == "8.0"
    assert header["loop.update"] == "7"
    assert header["ss_output_name"] == "Starter-u7"
    again = kohya_lora(checkpoint(policy, tiny.SHAPE), facts, name="Starter-u7")
    length = int.from_bytes(again[:8], "little")
    assert json.loads(again[8 : 8 + length])["__metadata__"] == header
