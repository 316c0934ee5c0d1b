"""Gradient checkpointing: less is kept, and nothing else changes by a single bit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.rl.gaussian import log_prob
from loop_studio.rl.types import Transitions
from loop_studio.rl.update import LoopConfig, train
from tests import tiny
from tests.diffusion.judging import (
    SAMPLER,
    adamw,
    one_group,
    rolled_out,
    same,
    same_rollouts,
    update,
)

CONFIG = LoopConfig(passes=2, minibatches=2, kl_weight=0.05, micro_batch=4)


def xl(folder: Path) -> StableDiffusionPolicy:
    tiny.xl_pipeline().save_pretrained(folder)
    policy = StableDiffusionPolicy.load(
        folder, tiny.SHAPE, device=torch.device("cpu"), dtype=torch.float32
    )
    for number, slot in enumerate(("live", "learner", "archive")):
        tiny.stir(policy, slot, seed=100 + number)
    return policy


@pytest.fixture(params=["float32", "float16", "bfloat16", "SDXL"])
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> StableDiffusionPolicy:
    if request.param == "SDXL":
        return xl(tmp_path / "xl")
    return tiny.policy(dtype=getattr(torch, request.param))


def transitions(policy: StableDiffusionPolicy) -> Transitions:
    (group,) = rolled_out(policy, 1)
    stored = group.trajectories
    timesteps = stored.timesteps[0].expand(4)
    return Transitions((stored.prompt,) * 4, SAMPLER, stored.latents[:, 0], timesteps)


def gradients(
    policy: StableDiffusionPolicy,
    rows: Transitions,
    between: Callable[[], object] = lambda: None,
) -> list[Tensor]:
    """The learner's gradients, with something else between forward and backward."""
    for parameter in policy.parameters():
        parameter.grad = None
    mean, _ = policy.transition(rows, "learner")
    between()
    mean.square().sum().backward()
    return [parameter.grad for parameter in policy.parameters()]


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_gradients_are_those_without_it_bit_for_bit(policy: StableDiffusionPolicy) -> None:
    rows = transitions(policy)
    plain = gradients(policy, rows)
    policy.checkpoint_gradients(True)
    assert equal(gradients(policy, rows), plain)
    assert all(bool(gradient.any()) for gradient in plain)
    policy.checkpoint_gradients(False)
    assert equal(gradients(policy, rows), plain)


def test_whatever_answers_between_forward_and_backward_the_learner_is_what_is_run_again(
    policy: StableDiffusionPolicy,
) -> None:
    rows = transitions(policy)
    plain = gradients(policy, rows)
    policy.checkpoint_gradients(True)
    for weights in ("live", "archive", "base"):

        def serve(weights: str = weights) -> None:
            policy.sample(["a cat"], [1], SAMPLER, weights)

        assert equal(gradients(policy, rows, serve), plain)


def test_a_rollout_of_another_thread_while_blocks_are_run_again_changes_neither() -> None:
    policy = tiny.policy()
    rows = transitions(policy)
    plain = gradients(policy, rows)
    expected = one_group(policy, "a cat", [5, 6], SAMPLER)
    policy.checkpoint_gradients(True)
    done, made = threading.Event(), []

    def serve() -> None:
        while not done.is_set():
            made.append(one_group(policy, "a cat", [5, 6], SAMPLER))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        found = [gradients(policy, rows) for _ in range(5)]
    finally:
        done.set()
        thread.join(timeout=60)
    assert made
    assert all(equal(one, plain) for one in found)
    assert all(same_rollouts(one, expected) for one in made)


def test_an_update_with_it_and_with_rollouts_in_between_learns_the_same() -> None:
    policy = tiny.policy()
    groups = rolled_out(policy)
    before = one_group(policy, "a cat", [5, 6], SAMPLER)
    expected = update(policy, groups, CONFIG)
    tiny.stir(policy, "learner", seed=101)  # back to where it was
    policy.checkpoint_gradients(True)
    for _ in train(policy, adamw(policy), groups, CONFIG, seed=0):
        assert same_rollouts(one_group(policy, "a cat", [5, 6], SAMPLER), before)
    assert same(policy.adapters.state("learner"), expected)


def test_ratio_is_still_exactly_one(policy: StableDiffusionPolicy) -> None:
    stored = one_group(policy, "a cat", [1, 2, 3, 4], SAMPLER).trajectories
    rows = transitions(policy)
    plain, _ = policy.transition(rows, "learner")
    policy.checkpoint_gradients(True)
    for step, latents in enumerate(stored.latents[:, :-1].unbind(1)):
        timesteps = stored.timesteps[step].expand(4)
        here = Transitions((stored.prompt,) * 4, SAMPLER, latents, timesteps)
        mean, std = policy.transition(here, "live")
        found = log_prob(stored.latents[:, step + 1], mean, std)
        assert torch.equal(found.detach(), stored.log_probs[:, step])
    assert torch.equal(policy.transition(rows, "learner")[0], plain)


def test_much_less_is_kept_and_every_block_runs_twice() -> None:
    policy = tiny.policy()
    rows = transitions(policy)

    def kept_and_runs() -> tuple[int, int]:
        sizes: dict[int, int] = {}
        runs = 0

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        def count(*_: object) -> None:
            nonlocal runs
            runs += 1

        hook = policy.unet.down_blocks[0].resnets[0].register_forward_pre_hook(count)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            mean, _ = policy.transition(rows, "learner")
        mean.sum().backward()
        hook.remove()
        return sum(sizes.values()), runs

    whole, once = kept_and_runs()
    policy.checkpoint_gradients(True)
    part, twice = kept_and_runs()
    assert (once, twice) == (1, 2)
    assert part < 0.5 * whole


def test_a_rollout_does_not_notice() -> None:
    policy = tiny.policy()
    before = one_group(policy, "a cat", [1, 2], SAMPLER)
    policy.checkpoint_gradients(True)
    runs = []
    hook = policy.unet.mid_block.register_forward_hook(lambda *_: runs.append(1))
    assert same_rollouts(one_group(policy, "a cat", [1, 2], SAMPLER), before)
    hook.remove()
    assert len(runs) == SAMPLER.num_inference_steps
