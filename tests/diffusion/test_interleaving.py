"""Raters are served while an update runs: neither changes a single bit of the other."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from loop_studio.diffusion.policy import Rollout, StableDiffusionPolicy
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
SEEDS = [5, 6]


def rollout(policy: StableDiffusionPolicy, prompt: str = "a cat") -> Rollout:
    return one_group(policy, prompt, SEEDS, SAMPLER)


def frozen(policy: StableDiffusionPolicy) -> dict[str, Tensor]:
    """Every tensor of the UNet but the learner's."""
    return {
        name: parameter.detach().clone()
        for name, parameter in policy.unet.named_parameters()
        if ".learner." not in name
    }


def test_an_update_interrupted_by_a_rollout_at_every_yield_equals_an_uninterrupted_one() -> None:
    policy = tiny.policy()
    groups = rolled_out(policy)
    before = rollout(policy)
    expected = update(policy, groups, CONFIG)
    tiny.stir(policy, "learner", seed=101)  # back to where it was
    pauses = 0
    for _ in train(policy, adamw(policy), groups, CONFIG, seed=0):
        assert same_rollouts(rollout(policy), before)
        pauses += 1
    assert pauses == 4 + 4 * (2 + 1)  # micro-batches, and the optimizer steps after them
    assert same(policy.adapters.state("learner"), expected)


def test_live_archive_and_base_never_move_during_an_update_and_only_the_learner_learns() -> None:
    policy = tiny.policy()
    groups = rolled_out(policy)
    learner, others = policy.adapters.state("learner"), frozen(policy)
    rest = [*policy.vae.parameters(), *policy.conditioner.encoder.parameters()]
    for _ in train(policy, adamw(policy), groups, CONFIG, seed=0):
        rollout(policy)
        assert same(frozen(policy), others)
        for name, parameter in policy.unet.named_parameters():
            assert parameter.requires_grad == (".learner." in name)
            assert parameter.grad is None or ".learner." in name
        assert all(parameter.grad is None for parameter in rest)
    moved = policy.adapters.state("learner")
    assert all(not torch.equal(moved[name], learner[name]) for name in learner)
    assert all(parameter.grad.isfinite().all() for parameter in policy.parameters())


def test_publishing_is_an_exact_copy_and_the_next_rollout_is_made_by_it() -> None:
    policy = tiny.policy()
    old = rollout(policy)
    update(policy, rolled_out(policy), CONFIG)
    learned = one_group(policy, "a cat", SEEDS, SAMPLER, weights="learner")
    policy.adapters.copy("learner", "live")
    assert same(policy.adapters.state("live"), policy.adapters.state("learner"))
    assert same_rollouts(rollout(policy), learned)
    assert not same_rollouts(learned, old)
    stored = policy.adapters.state("live")
    update(policy, rolled_out(policy), CONFIG)  # the copy shares no memory with the learner
    assert same(policy.adapters.state("live"), stored)


def test_two_threads_rolling_out_while_an_update_runs_equal_serial_ones() -> None:
    policy = tiny.policy()
    groups = rolled_out(policy)
    prompts = ("a cat", "a dog")
    expected = {prompt: rollout(policy, prompt) for prompt in prompts}
    learner = update(policy, groups, CONFIG)
    tiny.stir(policy, "learner", seed=101)
    made: dict[str, list[Rollout]] = {prompt: [] for prompt in prompts}
    done = threading.Event()

    def serve(prompt: str) -> None:
        while not (done.is_set() and made[prompt]):
            made[prompt].append(rollout(policy, prompt))

    threads = [threading.Thread(target=serve, args=(prompt,)) for prompt in prompts]
    for thread in threads:
        thread.start()
    during = update(policy, groups, CONFIG)
    done.set()
    for thread in threads:
        thread.join(timeout=60)
    assert same(during, learner)
    for prompt in prompts:
        assert made[prompt]
        assert all(same_rollouts(rollout_, expected[prompt]) for rollout_ in made[prompt])


def test_a_rollout_between_forward_and_backward_of_another_thread_loses_no_gradient() -> None:
    policy = tiny.policy()
    (group,) = rolled_out(policy, 1)
    stored = group.trajectories
    transitions = Transitions(
        (stored.prompt,) * 4, SAMPLER, stored.latents[:, 0], stored.timesteps[0].expand(4)
    )

    def gradients(*, disturbed: bool) -> list[Tensor]:
        mean, _ = policy.transition(transitions, "learner")
        if disturbed:
            rollout(policy)
            with torch.no_grad():
                policy.transition(transitions, "base")
        return list(torch.autograd.grad(mean.square().sum(), policy.parameters()))

    undisturbed = gradients(disturbed=False)
    for one, other in zip(undisturbed, gradients(disturbed=True), strict=True):
        assert torch.equal(one, other)
    mean, _ = policy.transition(transitions, "learner")
    rollout(policy)
    mean.square().sum().backward()
    for parameter, expected in zip(policy.parameters(), undisturbed, strict=True):
        assert torch.equal(parameter.grad, expected)
