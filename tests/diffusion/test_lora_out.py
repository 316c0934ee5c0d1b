"""The exported files, loaded by diffusers, make the studio's pictures in every family; a file that
lacks any one module would not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from diffusers import DiffusionPipeline
from numpy.typing import NDArray
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from safetensors.torch import save_file

from loop_studio.diffusion.adapters import LoraShape
from loop_studio.diffusion.lora_file import Checkpoint, diffusers_lora, kohya_lora
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.rl.types import Sampler
from tests.diffusion import families
from tests.diffusion.judging import largest_difference

KINDS = ("diffusers", "kohya")
EVERYTHING = LoraShape(rank=4, alpha=2.0, targets="all")
ATTENTION = LoraShape(rank=2, alpha=6.0, targets="attention")
SAMPLER = Sampler(num_inference_steps=2, guidance_scale=3.0, eta=1.0)
PROMPTS, SEEDS = ["a cat", "a dog"], [5, 6]


@dataclass(frozen=True)
class Both:
    """One model in the studio and in diffusers."""

    policy: StableDiffusionPolicy
    pipeline: DiffusionPipeline

    def ours(self) -> NDArray[np.uint8]:
        return self.policy.sample(PROMPTS, SEEDS, SAMPLER, "live")

    def theirs(self) -> NDArray[np.uint8]:
        return families.pictures(self.pipeline, PROMPTS, SEEDS, SAMPLER)


@pytest.fixture(scope="module", params=families.FAMILIES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = families.save(tmp_path_factory.mktemp("family") / "model", request.param)
    return Both(families.policy(folder, EVERYTHING), families.plain(folder))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [EVERYTHING, ATTENTION], ids=["all", "attention"])
def test_the_file_makes_the_studios_pictures_in_diffusers(
    both: Both, tmp_path: Path, kind: str, shape: LoraShape
) -> None:
    """Under an alpha of half the rank, and of three times the rank."""
    families.stir(both.policy, shape)
    assert all(tensor.abs().min() > 0 for tensor in both.policy.adapters.state("live").values())
    ours = both.ours()
    assert largest_difference(ours, both.theirs()) >= 20
    both.pipeline.load_lora_weights(write(tmp_path / "lora.safetensors", both.policy, kind))
    theirs = both.theirs()
    both.pipeline.unload_lora_weights()
    assert largest_difference(ours, theirs) < 2


@pytest.mark.parametrize("both", ["SD epsilon", "SDXL"], indirect=True)
def test_a_file_that_lacks_any_one_module_would_fail_the_test_above(
    both: Both, tmp_path: Path
) -> None:
    """Each module is switched off in turn in what diffusers loaded; for the last one, files that
    lack it are shown to do the very same. What is predicted changes no module.
    """
    families.stir(both.policy, EVERYTHING)
    ours = both.ours()
    both.pipeline.load_lora_weights(write(tmp_path / "whole.safetensors", both.policy, "kohya"))
    differences = {}
    for name, layer in loaded(both.pipeline).items():
        layer.enable_adapters(False)
        without = both.theirs()
        layer.enable_adapters(True)
        differences[name] = largest_difference(ours, without)
    both.pipeline.unload_lora_weights()
    targets = {key.partition(".lora_")[0] for key in both.policy.adapters.state("live")}
    assert differences.keys() == targets
    assert min(differences.values()) >= 2, min(differences, key=differences.__getitem__)

    for kind in KINDS:
        file = write(tmp_path / "cut.safetensors", both.policy, kind)
        cut(file, name)
        both.pipeline.load_lora_weights(file)
        assert loaded(both.pipeline).keys() == targets - {name}
        assert (both.theirs() == without).all()
        both.pipeline.unload_lora_weights()


def write(file: Path, policy: StableDiffusionPolicy, kind: str) -> Path:
    stored = Checkpoint(policy.adapters.state("live"), policy.adapters.shapes["live"], {}, {})
    data = diffusers_lora(stored, {}) if kind == "diffusers" else kohya_lora(stored, {}, name="x")
    file.write_bytes(data)
    return file


def cut(file: Path, layer: str) -> None:
    """Take one module out of a file, and leave the rest and the header as they are."""
    with safe_open(file, "pt") as whole:
        tensors = {key: whole.get_tensor(key) for key in whole.keys()}  # noqa: SIM118
        header = whole.metadata()
    own = (f"unet.{layer}.lora_", f"lora_unet_{layer.replace('.', '_')}.")
    kept = {key: tensor for key, tensor in tensors.items() if not key.startswith(own)}
    assert len(kept) in (len(tensors) - 2, len(tensors) - 3)
    save_file(kept, file, header)


def loaded(pipeline: DiffusionPipeline) -> dict[str, BaseTunerLayer]:
    modules = pipeline.unet.named_modules()
    return {name: module for name, module in modules if isinstance(module, BaseTunerLayer)}
