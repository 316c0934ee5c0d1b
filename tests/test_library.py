"""The engine without the studio: the lines of the README, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from loop_studio.config import ProjectConfig
from loop_studio.errors import Invalid, ModelUnusable
from loop_studio.library import Loop, load_policy
from tests import tiny

SMALL = ProjectConfig(num_inference_steps=6, lora_rank=4, learning_rate=1e-2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.save_folder(tmp_path_factory.mktemp("tiny") / "model"))


def test_the_lines_in_the_readme_teach_the_starter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(from pathlib.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(lines, names)
    assert "policy/grad_norm" in capsys.readouterr().out
    learned = load((tmp_path / "darker.safetensors").read_bytes())
    assert any(tensor.abs().max() > 0 for name, tensor in learned.items() if "lora_B" in name)
    loop = names["loop"]
    assert isinstance(loop, Loop)
    assert loop.updates == 2


def brightness(loop: Loop, updates: int) -> list[float]:
    means = []
    for _ in range(updates):
        groups = loop.rollouts(["a cat", "a dog"])
        rewards = [[float(image.mean()) for image in group.images] for group in groups]
        means.append(float(np.mean(rewards)))
        loop.update(groups, rewards)
    return means


def test_a_seed_decides_every_draw(folder: str) -> None:
    first, again, other = (Loop(load_policy(folder, SMALL), SMALL, seed=seed) for seed in (1, 1, 2))
    assert brightness(first, 2) == brightness(again, 2) != brightness(other, 2)
    one, same, another = (load(loop.lora()) for loop in (first, again, other))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], another[name]) for name in one)


@pytest.mark.parametrize("estimator", ["rloo", "ppo", "grpo"])
def test_other_estimators_and_families_take_the_same_lines(tmp_path: Path, estimator: str) -> None:
    tiny.xl_pipeline().save_pretrained(tmp_path / "xl")
    config = ProjectConfig.from_values({**SMALL.values(), "estimator": estimator})
    loop = Loop(load_policy(str(tmp_path / "xl"), config), config)
    brightness(loop, 1)
    learned = load(loop.lora())
    assert any(tensor.abs().max() > 0 for name, tensor in learned.items() if "lora_B" in name)


def test_wrong_rewards_are_refused_before_anything_moves(folder: str) -> None:
    loop = Loop(load_policy(folder, SMALL), SMALL)
    groups = loop.rollouts(["a cat", "a dog"])
    before = load(loop.lora())
    with pytest.raises(Invalid, match="one number per image"):
        loop.update(groups, [[1.0, 2.0, 3.0, 4.0]])
    with pytest.raises(Invalid, match="finite"):
        loop.update(groups, [[1.0, 2.0, 3.0, float("nan")], [0.0] * 4])
    with pytest.raises(ValueError, match="no group has a learning signal"):
        loop.update(groups, [[1.0] * 4] * 2)
    after = load(loop.lora())
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert loop.updates == 0


def test_a_folder_that_is_no_model_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="is not a diffusers model"):
        load_policy(str(tmp_path))
