from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from loop_studio.errors import Invalid
from loop_studio.rl.types import Sampler, Transitions
from tests import tiny
from tests.diffusion.judging import SAMPLER, one_group, rolled_out, same_rollouts, update


def test_the_same_seeds_give_the_same_group_bit_for_bit_and_others_do_not() -> None:
    policy = tiny.policy()
    first = one_group(policy, "a cat", [1, 2, 3, 4], SAMPLER)
    assert same_rollouts(first, one_group(policy, "a cat", [1, 2, 3, 4], SAMPLER))
    other = one_group(policy, "a cat", [1, 2, 3, 5], SAMPLER)
    assert (first.images[:3] == other.images[:3]).all()
    assert (first.images[3] != other.images[3]).any()
    assert first.images.shape == (4, 32, 32, 3)
    assert first.images.dtype == np.uint8


def test_a_sample_is_the_rollouts_picture() -> None:
    policy = tiny.policy()
    rollout = one_group(policy, "a cat", [1, 2, 3, 4], SAMPLER)
    assert (policy.sample(["a cat"] * 4, [1, 2, 3, 4], SAMPLER, "live") == rollout.images).all()
    alone = policy.sample(["a cat"], [3], SAMPLER, "live")[0].astype(int)
    assert np.abs(alone - rollout.images[2]).max() <= 1  # kernels round by the batch shape


def test_prompt_guidance_and_weights_each_change_the_picture() -> None:
    policy = tiny.policy()
    picture = policy.sample(["a cat"], [1], SAMPLER, "live")
    for other in (
        policy.sample(["a dog"], [1], SAMPLER, "live"),
        policy.sample(["a cat"], [1], Sampler(4, 1.0, 1.0), "live"),
        policy.sample(["a cat"], [1], SAMPLER, "base"),
        policy.sample(["a cat"], [1], SAMPLER, "learner"),
        policy.sample(["a cat"], [1], SAMPLER, "archive"),
    ):
        assert (picture != other).any()


def test_every_random_draw_has_its_own_generator() -> None:
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    before = (random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state())
    policy = tiny.policy()
    policy.adapters.reset("learner", tiny.SHAPE, seed=1)
    tiny.stir(policy, "learner", seed=2)
    update(policy, rolled_out(policy))
    policy.sample(["a cat"], [1], SAMPLER, "learner")
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_sampler_without_any_noisy_step_is_refused_with_a_sentence() -> None:
    policy = tiny.policy()
    for sampler in (Sampler(20, 1.0, 0.01), Sampler(2, 1.0, 1.0), Sampler(6, 1.0, 0.0)):
        with pytest.raises(Invalid, match="no step is noisy enough to learn from; raise eta"):
            one_group(policy, "a cat", [1, 2], sampler)


def test_transitions_of_several_prompts_and_steps_share_one_batch() -> None:
    policy = tiny.policy()
    timesteps = policy.schedule.steps(SAMPLER).timesteps
    latents = torch.randn((3, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    prompts = ("a cat", "a dog", "")
    chosen = timesteps[[3, 0, 2]]
    with torch.no_grad():
        together, std = policy.transition(Transitions(prompts, SAMPLER, latents, chosen), "live")
        for row in range(3):
            one = slice(row, row + 1)
            lone = Transitions(prompts[one], SAMPLER, latents[one], chosen[one])
            mean, std_alone = policy.transition(lone, "live")
            torch.testing.assert_close(together[one], mean, rtol=1e-5, atol=1e-5)
            assert torch.equal(std[one], std_alone)


def test_the_prompt_cache_forgets_the_oldest_and_answers_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loop_studio.diffusion.conditioning.TEXTS_KEPT", 2)
    policy = tiny.policy()
    first = policy.sample(["a cat"], [1], SAMPLER, "live")
    for prompt in ("a dog", "a fish", "a tree"):
        policy.sample([prompt], [1], SAMPLER, "live")
        assert len(policy.conditioner._kept) <= 2
    assert (policy.sample(["a cat"], [1], SAMPLER, "live") == first).all()


def test_large_pictures_are_decoded_one_at_a_time_and_small_ones_four() -> None:
    policy = tiny.policy()
    sizes: list[tuple[int, int]] = []

    def note(_: object, inputs: tuple[torch.Tensor]) -> None:
        sizes.append((len(inputs[0]), inputs[0].shape[-1]))

    policy.vae.decoder.register_forward_pre_hook(note)
    for side in (8, 32, 64):
        latents = torch.randn((5, 4, side, side), generator=torch.Generator().manual_seed(0))
        pictures = policy.decode(latents)
        assert pictures.shape == (5, 4 * side, 4 * side, 3)
        alone = policy.decode(latents[2:3])[0].astype(int)
        assert np.abs(alone - pictures[2]).max() <= 1
    assert [count for count, side in sizes if side == 8] == [4, 1, 1]
    assert [count for count, side in sizes if side == 32] == [4, 1, 1]
    assert [count for count, side in sizes if side == 64] == [1, 1, 1, 1, 1, 1]
