"""A LoRA from elsewhere makes the pictures that diffusers makes of the same file, and can learn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from numpy.typing import NDArray
from peft import LoraConfig
from safetensors.torch import load, load_file, save_file
from torch import Tensor

from loop_studio.diffusion.adapters import ATTENTION, LoraShape
from loop_studio.diffusion.lora_file import Checkpoint, diffusers_lora, kohya_lora
from loop_studio.diffusion.lora_import import read_lora
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.errors import Refused
from loop_studio.rl.types import Sampler
from tests.diffusion import families
from tests.diffusion.judging import largest_difference, rolled_out, same, update

SAMPLER = Sampler(num_inference_steps=2, guidance_scale=3.0, eta=1.0)
PROMPTS, SEEDS = ["a cat", "a dog"], [5, 6]
SHAPE = LoraShape(rank=4, alpha=2.0, targets="all")
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Both:
    """One model in the studio and in diffusers."""

    policy: StableDiffusionPolicy
    pipeline: DiffusionPipeline

    def imported(self, file: Path) -> tuple[Checkpoint, NDArray[np.uint8]]:
        found = read_lora(file, self.policy.unet)
        self.policy.adapters.load("archive", found.adapter, found.shape)
        return found, self.policy.sample(PROMPTS, SEEDS, SAMPLER, "archive")

    def theirs(self, file: Path | None) -> NDArray[np.uint8]:
        if file is not None:
            self.pipeline.load_lora_weights(file)
        made = families.pictures(self.pipeline, PROMPTS, SEEDS, SAMPLER)
        self.pipeline.unload_lora_weights()
        return made

    def exported(self, file: Path, kind: str, shape: LoraShape = SHAPE) -> Path:
        families.stir(self.policy, shape)
        stored = Checkpoint(self.policy.adapters.state("live"), shape, {}, {})
        facts = {"loop.update": "1"}
        kohya = kind == "kohya"
        data = kohya_lora(stored, facts, name="x") if kohya else diffusers_lora(stored, facts)
        file.write_bytes(data)
        return file


@pytest.fixture(scope="module", params=families.FAMILIES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return pair(tmp_path_factory.mktemp("family") / "model", request.param)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return pair(tmp_path_factory.mktemp("one") / "model", "SD epsilon")


@pytest.fixture(scope="module")
def kohya(one: Both, tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    """What a kohya file of every layer holds."""
    return load_file(one.exported(tmp_path_factory.mktemp("kohya") / "x.safetensors", "kohya"))


def pair(folder: Path, family: str) -> Both:
    families.save(folder, family)
    return Both(families.policy(folder, SHAPE), families.plain(folder))


@pytest.mark.parametrize("kind", ["diffusers", "kohya"])
def test_the_studios_own_file_comes_back_bit_for_bit(both: Both, tmp_path: Path, kind: str) -> None:
    for shape in (SHAPE, LoraShape(rank=2, alpha=6.0, targets="attention")):
        file = both.exported(tmp_path / "lora.safetensors", kind, shape)
        found = read_lora(file, both.policy.unet)
        assert (found.shape, found.optimizer) == (shape, {})
        assert same(found.adapter, both.policy.adapters.state("live"))


def mixed(tensors: Tensors) -> Tensors:
    """kohya's keys with every third layer at a lower rank, and alphas that differ and lack."""
    layers = sorted({key.partition(".")[0] for key in tensors})
    for number, layer in enumerate(layers):
        if number % 3 == 0:
            down, up = f"{layer}.lora_down.weight", f"{layer}.lora_up.weight"
            tensors[down], tensors[up] = tensors[down][:3], tensors[up][:, :3]
            tensors[f"{layer}.alpha"] = torch.tensor(1.5 + number % 2)
    return tensors


def few(tensors: Tensors) -> Tensors:
    """The layers of kohya's most common LoRA: attention, and the feed-forward beside it."""
    return {key: value for key, value in tensors.items() if "_attentions_" in key}


def in_half(tensors: Tensors) -> Tensors:
    return {key: value.half() for key, value in tensors.items()}


@pytest.mark.parametrize("change", [mixed, few, in_half], ids=lambda change: change.__name__)
def test_kohya_files_as_they_are_found_make_diffusers_pictures(
    both: Both, tmp_path: Path, change: Callable[[Tensors], Tensors]
) -> None:
    file = both.exported(tmp_path / "lora.safetensors", "kohya")
    save_file({k: v.contiguous() for k, v in change(load_file(file)).items()}, file)
    found, pictures = both.imported(file)
    assert (found.shape.rank, found.shape.targets) == (4, "all")
    theirs = both.theirs(file)
    assert largest_difference(pictures, theirs) < 2
    assert largest_difference(theirs, both.theirs(None)) >= 20


NAMES = {
    "PEFT": ((".lora_A.", ".lora_A."), (".lora_B.", ".lora_B.")),
    "older": ((".lora_A.", ".lora.down."), (".lora_B.", ".lora.up.")),
    "oldest": (
        (".to_out.0.lora", ".to_out.lora"),
        (".to_", ".processor.to_"),
        (".lora_A.", "_lora.down."),
        (".lora_B.", "_lora.up."),
    ),
}


@pytest.mark.parametrize("names", NAMES)
def test_files_that_diffusers_wrote_itself_make_its_pictures(
    both: Both, tmp_path: Path, names: str
) -> None:
    """With ranks and alphas by layer in the header; the older names have no header."""
    pipeline, is_old = both.pipeline, names != "PEFT"
    by_layer = {} if is_old else {"rank_pattern": {"to_k": 2}, "alpha_pattern": {"to_v": 9}}
    config = LoraConfig(r=4, lora_alpha=4, target_modules=list(ATTENTION), **by_layer)
    pipeline.unet.add_adapter(config, adapter_name="default")
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for name, parameter in pipeline.unet.named_parameters():
        if "lora_" in name:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
            tensors[name.replace(".default", "")] = parameter.data
    trained = families.pictures(pipeline, PROMPTS, SEEDS, SAMPLER)
    header = None if is_old else pipeline.unet.peft_config["default"].to_dict()
    pipeline.unload_lora_weights()
    for old, new in NAMES[names]:
        tensors = {name.replace(old, new): tensor for name, tensor in tensors.items()}
    pipeline.save_lora_weights(tmp_path, tensors, unet_lora_adapter_metadata=header)

    file = tmp_path / "pytorch_lora_weights.safetensors"
    found, pictures = both.imported(file)
    assert found.shape == LoraShape(4, 4.0, "attention")
    assert largest_difference(pictures, trained) < 2
    assert largest_difference(pictures, both.theirs(file)) < 2
    assert largest_difference(pictures, both.theirs(None)) >= 20


def test_what_was_filled_up_changes_nothing_and_learns(one: Both, tmp_path: Path) -> None:
    file = one.exported(tmp_path / "lora.safetensors", "kohya")
    save_file({k: v.contiguous() for k, v in few(mixed(load_file(file))).items()}, file)
    found, pictures = one.imported(file)
    assert largest_difference(pictures, one.theirs(file)) < 2
    assert same(read_lora(file, one.policy.unet).adapter, found.adapter)  # the same again
    empty = [name for name, t in found.adapter.items() if ".lora_B." in name and not t.any()]
    assert "conv_in.lora_B.weight" in empty
    one.policy.adapters.load("live", found.adapter, found.shape)
    one.policy.adapters.load("learner", found.adapter, found.shape)
    learned = update(one.policy, rolled_out(one.policy, sampler=Sampler(4, 1.0, 1.0)))
    assert all(learned[name].any() for name in empty)
    lower = [
        name
        for name, t in found.adapter.items()
        if ".lora_B." in name and name not in empty and not t[:, 3].any()
    ]
    assert lower
    assert all(learned[name][:, 3].any() for name in lower)


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key.replace(old, new): value for key, value in tensors.items()}


def added(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: torch.ones(4)}


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def with_value(value: float, *ends: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {
        key: torch.full_like(tensor, value) if key.endswith(ends) else tensor
        for key, tensor in tensors.items()
    }


def outside(tensors: Tensors) -> Tensors:
    layer = "lora_unet_mid_block_resnets_0_time_emb_proj"
    return tensors | {
        f"{layer}.lora_down.weight": torch.ones(4, 64),
        f"{layer}.lora_up.weight": torch.ones(32, 4),
    }


def at_rank(rank: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {
        "lora_unet_conv_in.lora_down.weight": torch.ones(rank, 4, 3, 3),
        "lora_unet_conv_in.lora_up.weight": torch.ones(16, rank, 1, 1),
    }


REFUSALS: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "text encoder": (added("lora_te_text_model_layers_0.lora_up.weight"), "the text encoder"),
    "text encoder of diffusers": (added("text_encoder.q.lora_A.weight"), "the text encoder"),
    "DoRA": (added("lora_unet_conv_in.dora_scale"), "lora_unet_conv_in.dora_scale"),
    "LoHa": (renamed("lora_up.weight", "hada_w1_a"), "which is not plain LoRA"),
    "LoKr": (renamed("lora_up.weight", "lokr_w1"), "which is not plain LoRA"),
    "Tucker": (added("lora_unet_conv_in.lora_mid.weight"), "which is not plain LoRA"),
    "a whole model": (lambda tensors: {"unet.conv_in.weight": torch.ones(2)}, "not plain LoRA"),
    "nothing": (lambda tensors: {}, "no tensor"),
    "another model": (renamed("mid_block_resnets_1", "mid_block_resnets_7"), "does not fit"),
    "one half": (without("lora_unet_conv_in.lora_up.weight"), "does not fit"),
    "other half": (without("lora_unet_conv_in.lora_down.weight"), "does not fit"),
    "another size": (
        lambda tensors: tensors | {"lora_unet_conv_in.lora_up.weight": torch.ones(17, 4, 1, 1)},
        "does not fit",
    ),
    "two namings": (
        lambda tensors: (
            tensors
            | {
                "unet.conv_out.lora_A.weight": torch.ones(4, 16, 3, 3),
                "unet.conv_out.lora_B.weight": torch.ones(4, 4, 1, 1),
            }
        ),
        "does not fit",
    ),
    "time embedding": (outside, "changes mid_block.resnets.0.time_emb_proj"),
    "alpha 0": (with_value(0.0, ".alpha"), "changes nothing"),
    "alpha not a number": (with_value(float("nan"), ".alpha"), "not finite"),
    "infinite": (with_value(float("inf"), "lora_up.weight"), "not finite"),
    "rank 257": (at_rank(257), "rank 257, and the studio trains ranks up to 256"),
    "rank 0": (at_rank(0), "does not fit"),
    "whole numbers": (lambda tensors: {k: v.int() for k, v in tensors.items()}, "does not fit"),
}


@pytest.mark.parametrize(("change", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_what_would_not_be_the_same_lora_is_refused_in_one_sentence(
    one: Both, kohya: Tensors, tmp_path: Path, change: Callable[[Tensors], Tensors], sentence: str
) -> None:
    file = tmp_path / "lora.safetensors"
    save_file(change(dict(kohya)), file)
    with pytest.raises(Refused, match=sentence) as refusal:
        read_lora(file, one.policy.unet)
    assert refusal.value.code == "lora_unusable"


def test_a_lora_of_sdxl_is_refused_on_stable_diffusion_and_the_other_way(
    one: Both, tmp_path: Path
) -> None:
    xl = pair(tmp_path / "xl", "SDXL")
    for maker, taker in ((xl, one), (one, xl)):
        for kind in ("diffusers", "kohya"):
            file = maker.exported(tmp_path / "lora.safetensors", kind)
            with pytest.raises(Refused, match="does not fit"):
                read_lora(file, taker.policy.unet)


@pytest.mark.parametrize("length", [0, 7, 8, 200, -1])
def test_a_damaged_file_is_refused(one: Both, tmp_path: Path, length: int) -> None:
    file = one.exported(tmp_path / "lora.safetensors", "diffusers")
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(Refused, match="not a whole safetensors file"):
        read_lora(file, one.policy.unet)


def test_a_pickle_is_refused_and_not_read(one: Both, tmp_path: Path) -> None:
    torch.save({"unet.conv_in.lora_A.weight": torch.ones(2)}, tmp_path / "lora.safetensors")
    with pytest.raises(Refused, match="not a whole safetensors file"):
        read_lora(tmp_path / "lora.safetensors", one.policy.unet)


@pytest.mark.parametrize(
    "field",
    [
        {"unet.rank_pattern": {"(a+)+$": 4}},
        {"unet.alpha_pattern": {".*": 4}},
        {"unet.alpha_pattern": 4},
        {"unet.r": "four"},
        {"unet.r": 5},
        {"unet.lora_alpha": [1]},
    ],
    ids=str,
)
def test_a_header_that_is_not_plain_numbers_is_refused(
    one: Both, tmp_path: Path, field: dict[str, object]
) -> None:
    with pytest.raises(Refused, match="does not fit"):
        read_lora(with_header(one, tmp_path, field), one.policy.unet)


def test_of_a_header_only_what_decides_strength_is_used(
    one: Both, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """peft would import the module that `megatron_core` names: here one that prints a poem."""
    harm = {"unet.megatron_config": {}, "unet.megatron_core": "this", "unet.exclude_modules": "("}
    found = read_lora(with_header(one, tmp_path, harm), one.policy.unet)
    assert found.shape == SHAPE
    assert "beautiful" not in capsys.readouterr().out.lower()


def with_header(one: Both, folder: Path, fields: dict[str, object]) -> Path:
    file = one.exported(folder / "lora.safetensors", "diffusers")
    data = file.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    stated = json.loads(header["lora_adapter_metadata"]) | fields
    save_file(load(data), file, header | {"lora_adapter_metadata": json.dumps(stated)})
    return file


def test_reading_draws_nothing_from_the_global_generator(one: Both, tmp_path: Path) -> None:
    file = one.exported(tmp_path / "lora.safetensors", "kohya")
    before = torch.random.get_rng_state()
    read_lora(file, one.policy.unet)
    assert torch.equal(torch.random.get_rng_state(), before)
