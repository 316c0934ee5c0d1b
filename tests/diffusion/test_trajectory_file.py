from __future__ import annotations

import json
from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from loop_studio.diffusion.trajectory_file import pack, unpack
from loop_studio.errors import Unfaithful
from loop_studio.rl.types import Sampler, Trajectories

SENTENCE = "trajectory file is damaged.*Check the disk"


def trajectories(seed: int = 0) -> Trajectories:
    generator = torch.Generator().manual_seed(seed)
    return Trajectories(
        prompt='a "cat" \u2014 \u732b, {braces}\n',
        sampler=Sampler(20, 3.3, 0.7, lora_steps=6),
        latents=torch.randn((3, 5, 4, 4, 4), generator=generator),
        log_probs=torch.randn((3, 4), generator=generator),
        timesteps=torch.tensor([951, 901, 851, 801]),
        trained=torch.rand((3, 4), generator=generator) < 0.5,
    )


DATA = pack(trajectories())


def test_a_trajectory_survives_its_file_bit_for_bit() -> None:
    stored = trajectories()
    stored.latents[0, 0, 0, 0, :] = torch.tensor([1e-45, -0.0, 3.4e38, float("nan")])
    found = unpack(pack(stored))
    assert (found.prompt, found.sampler) == (stored.prompt, stored.sampler)
    for field in fields(Trajectories):
        before, after = getattr(stored, field.name), getattr(found, field.name)
        if isinstance(before, torch.Tensor):
            assert before.dtype == after.dtype
            assert before.numpy().tobytes() == after.numpy().tobytes()


def test_a_file_of_an_earlier_release_is_read_as_it_was_sampled() -> None:
    header = json.loads(DATA[8 : 8 + int.from_bytes(DATA[:8], "little")])["__metadata__"]
    origin = json.loads(header["origin"])
    del origin["sampler"]["lora_steps"]  # there the LoRA acted in every step
    tensors = load(DATA) | {"anchored": torch.ones((3, 4), dtype=torch.bool)}
    found = unpack(save(tensors, metadata=header | {"origin": json.dumps(origin)}))
    assert found.sampler == Sampler(20, 3.3, 0.7, lora_steps=None)
    assert torch.equal(found.trained, trajectories().trained)


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\x00" * 100, b"not a file of ours", DATA[:-1], DATA[:100], DATA[:8], DATA + b"\x00"],
    ids=["empty", "zeros", "text", "a byte short", "a header short", "a length", "a byte long"],
)
def test_a_damaged_file_gives_one_sentence(damaged: bytes) -> None:
    with pytest.raises(Unfaithful, match=SENTENCE):
        unpack(damaged)


@given(st.integers(0, len(DATA) - 1))
def test_a_file_cut_off_anywhere_gives_one_sentence(length: int) -> None:
    with pytest.raises(Unfaithful, match=SENTENCE):
        unpack(DATA[:length])


@given(st.integers(0, 700), st.integers(1, 255))
def test_a_wrong_byte_in_the_header_never_gives_anything_but_the_sentence(
    place: int, flip: int
) -> None:
    broken = bytearray(DATA)
    broken[place] ^= flip
    found = outcome(bytes(broken))
    if isinstance(found, Unfaithful):
        assert "damaged" in found.detail
    else:
        assert found.latents.shape == (3, 5, 4, 4, 4)
        assert found.log_probs.dtype == torch.float32


def outcome(data: bytes) -> Trajectories | Unfaithful:
    try:
        return unpack(data)
    except Unfaithful as error:
        return error
