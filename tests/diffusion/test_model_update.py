"""`rl.update.train` on real networks: gradients, half precision, memory, and learning."""

from __future__ import annotations

import gc
import warnings
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from loop_studio.diffusion.adapters import LoraShape
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.judgement import leave_one_out
from loop_studio.rl.gaussian import log_prob
from loop_studio.rl.types import GuidanceGradient, JudgedGroup, Sampler, Trajectories, Transitions
from loop_studio.rl.update import LoopConfig, kl_to, train
from tests import tiny
from tests.diffusion.judging import adamw, one_group, rolled_out, update

QUICK = Sampler(num_inference_steps=4, guidance_scale=1.0, eta=1.0)


def gradient(
    policy: StableDiffusionPolicy, groups: list[JudgedGroup], config: LoopConfig
) -> Tensor:
    """The gradient of the first optimizer step, all parameters in a row."""
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    for progress in train(policy, optimizer, groups, config, seed=0):
        if progress.metrics is not None:
            break
    return torch.cat([parameter.grad.flatten() for parameter in policy.parameters()])


def test_micro_batching_leaves_a_real_networks_gradient_alone_to_float32s_rounding() -> None:
    policy = tiny.policy()
    groups = rolled_out(policy)
    config = LoopConfig(minibatches=1, kl_weight=0.1, max_grad_norm=1e9)
    whole = gradient(policy, groups, replace(config, micro_batch=64))
    for micro_batch in (1, 3, 8):
        part = gradient(policy, groups, replace(config, micro_batch=micro_batch))
        assert (part - whole).norm() <= 1e-4 * whole.norm()


def test_the_first_step_of_an_update_starts_at_ratio_one() -> None:
    policy = tiny.policy()
    policy.adapters.copy("live", "learner")
    groups = rolled_out(policy)
    first = next(
        progress.metrics
        for progress in train(policy, adamw(policy), groups, LoopConfig(), seed=0)
        if progress.metrics is not None
    )
    assert first["policy/log_ratio_nats"] <= 1e-6 * 256
    assert first["policy/clip_fraction"] == 0


def test_kl_to_base_is_zero_without_an_adapter_and_positive_with_one() -> None:
    policy = tiny.policy()
    groups = rolled_out(policy)
    assert kl_to(policy, groups, "base", 16, seed=0) > 1e-3
    policy.adapters.reset("learner", tiny.SHAPE, seed=0)
    assert kl_to(policy, groups, "base", 16, seed=0) == 0


def test_a_penalty_keeps_the_learner_closer_to_the_base() -> None:
    distances = []
    for kl_weight in (0.0, 3.0):
        policy = tiny.policy()
        groups = rolled_out(policy, 1, sampler=QUICK)
        config = LoopConfig(passes=4, minibatches=1, kl_weight=kl_weight)
        update(policy, groups, config, optimizer=adamw(policy, 2e-3))
        distances.append(kl_to(policy, groups, "base", 16, seed=0))
    assert distances[1] < 0.8 * distances[0]


def test_the_conditional_branch_alone_gives_the_same_mean_and_its_share_of_the_gradient() -> None:
    policy = tiny.policy()
    sampler = replace(QUICK, guidance_scale=3.0)
    latents = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(1))
    timesteps = policy.schedule.steps(sampler).timesteps[:1].expand(2)

    def answer(prompt: str, branches: GuidanceGradient) -> tuple[Tensor, Tensor]:
        here = Transitions((prompt,) * 2, sampler, latents, timesteps, branches)
        mean, _ = policy.transition(here, "learner")
        found = torch.autograd.grad((mean * latents).sum(), policy.parameters())
        return mean.detach(), torch.cat([one.flatten() for one in found])

    # Without words both branches are one function: u + 3 (c - u) has its gradient once, or, where
    # only c counts, three times.
    mean, both = answer("", "both")
    same, conditional = answer("", "conditional")
    torch.testing.assert_close(same, mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(conditional, 3 * both, rtol=1e-3, atol=1e-3 * both.abs().max())
    mean, both = answer("a cat", "both")
    same, conditional = answer("a cat", "conditional")
    torch.testing.assert_close(same, mean, rtol=0, atol=1e-5)
    assert (conditional - both).norm() > 0.1 * both.norm()


def half_precision_gradient(dtype: torch.dtype) -> tuple[Tensor, float]:
    """LoRA gradients of one update step at D = 16,384, through a GradScaler; and weight moves."""
    policy = tiny.policy(
        dtype=dtype, sample_size=64, shape=LoraShape(2, 2.0, "attention"), trained=False
    )
    tiny.stir(policy, "learner", seed=1)
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn((2, 2, 4, 64, 64), generator=generator)
    timesteps = policy.schedule.steps(QUICK).timesteps[:1]
    transitions = Transitions(("a cat",) * 2, QUICK, latents[:, 0], timesteps.expand(2))
    with torch.no_grad():
        mean, std = policy.transition(transitions, "learner")
    latents[:, 1] = mean + std.view(-1, 1, 1, 1) * latents[:, 1]
    stored = Trajectories(
        prompt="a cat",
        sampler=QUICK,
        latents=latents,
        log_probs=log_prob(latents[:, 1], mean, std)[:, None],
        timesteps=timesteps,
        trained=torch.ones(2, 1, dtype=torch.bool),
    )
    pushes = torch.tensor([leave_one_out([1.0, 0.0])], dtype=torch.float64)
    group = JudgedGroup("group", stored, pushes, torch.tensor([2]))
    scaler = torch.amp.GradScaler("cpu") if dtype == torch.float16 else None
    before = policy.adapters.state("learner")
    optimizer = adamw(policy)
    config = LoopConfig(minibatches=1, max_grad_norm=1e9)
    for progress in train(policy, optimizer, [group], config, seed=0, scaler=scaler):
        if progress.metrics is not None:
            break
    found = torch.cat([parameter.grad.flatten() for parameter in policy.parameters()])
    after = policy.adapters.state("learner")
    moved = max((after[name] - before[name]).abs().max().item() for name in before)
    return found, moved


def test_half_precision_gives_finite_gradients_in_float32_at_sixteen_thousand_elements() -> None:
    exact, _ = half_precision_gradient(torch.float32)
    half, moved = half_precision_gradient(torch.float16)
    assert half.dtype == torch.float32
    assert half.isfinite().all()
    assert (half != 0).double().mean() > 0.99
    assert torch.cosine_similarity(half, exact, dim=0) > 0.99
    assert half.norm().item() == pytest.approx(exact.norm().item(), rel=0.1)
    assert moved > 1e-3  # AdamW's first step is about the learning rate


def test_memory_stays_flat_over_sixty_updates() -> None:
    policy = tiny.policy(shape=LoraShape(2, 2.0, "attention"))
    groups = rolled_out(policy, 1, k=2, sampler=replace(QUICK, lora_steps=1))
    optimizer = adamw(policy, 1e-5)
    config = LoopConfig(passes=2, minibatches=1)

    def tensors() -> tuple[int, int]:
        gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lazy modules of torch warn when they are looked at
            found = [item for item in gc.get_objects() if isinstance(item, Tensor)]
        return len(found), sum(item.untyped_storage().nbytes() for item in found)

    sizes = []
    for number in range(60):
        for _ in train(policy, optimizer, groups, config, seed=number):
            pass
        if number in (9, 59):
            policy.adapters.copy("learner", "live")
            sizes.append(tensors())
    assert sizes[0] == sizes[1]


def brightness(policy: StableDiffusionPolicy) -> Tensor:
    """Mean brightness of twelve fixed pictures under the live weights."""
    pictures = policy.sample(["a room"] * 12, list(range(1000, 1012)), QUICK, "live")
    return torch.from_numpy(pictures).double().flatten(1).mean(1)


def test_a_brightness_reward_rises_within_four_updates() -> None:
    policy = tiny.policy(trained=False)
    policy.adapters.reset("learner", tiny.SHAPE, seed=0)
    policy.adapters.copy("learner", "live")
    before = brightness(policy)
    optimizer = adamw(policy)
    for number in range(4):
        groups = []
        for g in range(4):
            seeds = [100 * number + 10 * g + i for i in range(4)]
            made = one_group(policy, "a room", seeds, QUICK)
            rewards = made.images.reshape(4, -1).mean(1) / 255
            pushes = torch.tensor([leave_one_out(rewards.tolist())], dtype=torch.float64)
            groups.append(JudgedGroup(f"{g}", made.trajectories, pushes, torch.tensor([4])))
        update(policy, groups, optimizer=optimizer, seed=number)
        policy.adapters.copy("learner", "live")
    gains = brightness(policy) - before
    signs = torch.tensor(list(product((1.0, -1.0), repeat=12)), dtype=torch.float64)
    p = ((signs @ gains) >= gains.sum() - 1e-9).double().mean().item()  # exact sign-flip test
    assert gains.mean() > 0.3
    assert p < 0.01
