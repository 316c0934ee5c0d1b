from __future__ import annotations

import pytest
import torch

from loop_studio.diffusion.adapters import LoraShape
from loop_studio.errors import ModelUnusable
from tests import tiny
from tests.diffusion.judging import SAMPLER, rolled_out, same, update

SMALL = LoraShape(rank=2, alpha=1.0, targets="attention")


def test_a_fresh_adapter_changes_nothing_and_can_learn() -> None:
    policy = tiny.policy()
    policy.adapters.reset("learner", tiny.SHAPE, seed=1)
    base = policy.sample(["a cat"], [1], SAMPLER, "base")
    assert (policy.sample(["a cat"], [1], SAMPLER, "learner") == base).all()
    first = policy.adapters.state("learner")
    policy.adapters.reset("learner", tiny.SHAPE, seed=1)
    assert same(policy.adapters.state("learner"), first)
    policy.adapters.reset("learner", tiny.SHAPE, seed=2)
    assert not same(policy.adapters.state("learner"), first)
    assert all(bool(tensor.any()) == (".lora_A." in name) for name, tensor in first.items())


def test_an_untouched_policy_serves_the_base_under_every_name() -> None:
    policy = tiny.policy(trained=False)
    base = policy.sample(["a cat"], [1], SAMPLER, "base")
    for slot in ("live", "learner", "archive"):
        assert (policy.sample(["a cat"], [1], SAMPLER, slot) == base).all()


def test_adapters_of_different_shapes_live_side_by_side() -> None:
    policy = tiny.policy()
    live = policy.sample(["a cat"], [1], SAMPLER, "live")
    base = policy.sample(["a cat"], [1], SAMPLER, "base")
    policy.adapters.reset("archive", SMALL, seed=3)
    assert (policy.sample(["a cat"], [1], SAMPLER, "archive") == base).all()
    tiny.stir(policy, "archive", seed=4)
    assert (policy.sample(["a cat"], [1], SAMPLER, "archive") != base).any()
    assert (policy.sample(["a cat"], [1], SAMPLER, "live") == live).all()
    kept = policy.adapters.state("archive")
    assert {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in kept} <= {
        "to_q", "to_k", "to_v", "0"
    }  # fmt: skip
    policy.adapters.reset("archive", tiny.SHAPE, seed=3)
    policy.adapters.load("archive", kept, SMALL)
    assert same(policy.adapters.state("archive"), kept)
    assert (policy.sample(["a cat"], [1], SAMPLER, "live") == live).all()


def test_the_learner_still_learns_after_another_adapter_took_a_new_shape() -> None:
    policy = tiny.policy()
    groups = rolled_out(policy)
    expected = update(policy, groups)
    tiny.stir(policy, "learner", seed=101)
    policy.adapters.reset("archive", SMALL, seed=3)
    assert same(update(policy, groups), expected)


def test_alpha_over_rank_scales_the_adapter() -> None:
    half = LoraShape(rank=4, alpha=2.0, targets="all")
    weak, strong = tiny.policy(shape=half), tiny.policy()  # the same weights, alpha 2 and 8
    for name, parameter in weak.adapters.parameters("live").items():
        if ".lora_B." in name:
            parameter.data *= 4
    assert (
        weak.sample(["a cat"], [1], SAMPLER, "live")
        == strong.sample(["a cat"], [1], SAMPLER, "live")
    ).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_adapters_are_float32_whatever_the_base_is(dtype: torch.dtype) -> None:
    policy = tiny.policy(dtype=dtype)
    policy.adapters.reset("archive", SMALL, seed=0)
    for slot in ("live", "learner", "archive"):
        assert {p.dtype for p in policy.adapters.parameters(slot).values()} == {torch.float32}
    assert policy.unet.conv_in.base_layer.weight.dtype == dtype


def test_tensors_of_another_model_are_refused_with_a_sentence() -> None:
    policy = tiny.policy()
    state = policy.adapters.state("live")
    missing = dict(list(state.items())[1:])
    name = next(iter(state))
    for wrong in (missing, {**state, name: state[name][:, :1]}, {**state, "else": state[name]}):
        with pytest.raises(ModelUnusable, match="does not fit the project's model"):
            policy.adapters.load("archive", wrong, tiny.SHAPE)
