"""`rl.update.train` against the objective of its docstring, written down again the slow way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal

from loop_studio.judgement import leave_one_out
from loop_studio.rl.batch import flatten
from loop_studio.rl.objective import clip_range, clipped_surrogate
from loop_studio.rl.types import JudgedGroup, Sampler
from loop_studio.rl.update import LoopConfig, kl_to, train
from tests.rl.walk import SAMPLER, Walk, judged, moved_walk, simple_groups

ELEMENTS = 3
WHOLE = LoopConfig(minibatches=1, clip_nats=0.15, max_grad_norm=math.inf, micro_batch=5)
GUIDED = Sampler(num_inference_steps=2, guidance_scale=4.0, eta=1.0)


def naive_loss(
    walk: Walk, theta: Tensor, groups: Sequence[JudgedGroup], config: LoopConfig
) -> Tensor:
    """The objective, one judgement, image and step at a time."""
    c = clip_range(config.clip_nats, ELEMENTS)
    total = torch.zeros((), dtype=torch.float64)
    for group in groups:
        stored, count = group.trajectories, group.advantages.shape[0]
        k = stored.group_size
        for i in range(k):
            steps = stored.trained[i].nonzero().flatten().tolist()
            weights = torch.ones(2) if group.step_weights is None else group.step_weights
            for s in steps:
                t = stored.timesteps[s]
                x, after = stored.latents[i, s], stored.latents[i, s + 1]
                mean = x + theta[0, t] + theta[1, t] * x.tanh()
                log_prob = Normal(mean, walk.std[t]).log_prob(after).mean()
                rho = (log_prob - stored.log_probs[i, s]).exp()
                for advantage, m in zip(group.advantages[:, i], group.members, strict=True):
                    least = torch.minimum(rho * advantage, rho.clamp(1 - c, 1 + c) * advantage)
                    part = weights[s] / sum(weights[other] for other in steps)
                    total = total - part * least / (count * m * len(groups))
                base = x + walk.base[0, t] + walk.base[1, t] * x.tanh()
                kl = ((mean - base) ** 2).sum() / (2 * walk.std[t] ** 2)
                penalty = config.kl_weight * kl / ELEMENTS
                total = total + penalty / (k * len(steps) * len(groups))
    return total


def naive_gradient(walk: Walk, groups: Sequence[JudgedGroup], config: LoopConfig) -> Tensor:
    theta = walk.learner.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(naive_loss(walk, theta, groups, config), theta)
    return gradient


def gradients(
    walk: Walk, groups: Sequence[JudgedGroup], config: LoopConfig, seed: int = 0
) -> list[Tensor]:
    """The gradient of each optimizer step of `train`, with a step size of zero."""
    found = []
    optimizer = torch.optim.SGD(walk.parameters(), lr=0.0)
    for progress in train(walk, optimizer, groups, config, seed=seed):
        if progress.metrics is not None:
            found.append(walk.learner.grad.clone())
    return found


def many_groups(walk: Walk, seed: int) -> list[JudgedGroup]:
    """Three groups of different sizes and samplers, judged by nobody, one or several raters,
    in part, with random trained steps, weighted in one of them."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for number, k in enumerate((4, 2, 3)):
        stored = walk.trajectories(k, seed=1000 * seed + number)
        trained = torch.rand(stored.trained.shape, generator=generator) < 0.6
        trained[torch.arange(k), torch.randint(trained.shape[1], (k,), generator=generator)] = True
        sampler = GUIDED if number == 1 else SAMPLER
        judgements = int(torch.randint(1 if number == 0 else 0, 4, (1,), generator=generator))
        rows, members = [], []
        for _ in range(judgements):
            m = int(torch.randint(2, k + 1, (1,), generator=generator))
            some = torch.randperm(k, generator=generator)[:m].tolist()
            pushes = leave_one_out(torch.rand(m, generator=generator).tolist())
            rows.append([dict(zip(some, pushes, strict=True)).get(i, 0.0) for i in range(k)])
            members.append(m)
        stored = replace(stored, trained=trained, sampler=sampler)
        weights = torch.rand(2, generator=generator) + 0.1 if number == 2 else None
        group = judged(stored, rows, members, name=f"group {number}")
        found.append(replace(group, step_weights=weights))
    return found


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.7]))
@settings(max_examples=25)
def test_gradient_is_that_of_the_written_double_sum(seed: int, kl_weight: float) -> None:
    walk = moved_walk()
    groups = many_groups(walk, seed)
    config = replace(WHOLE, kl_weight=kl_weight)
    expected = naive_gradient(walk, groups, config)
    for gradient in gradients(walk, groups, config):
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kl_weight", [0.0, 0.7])
def test_gradient_agrees_with_finite_differences_of_the_objective(kl_weight: float) -> None:
    walk = moved_walk()
    groups = many_groups(walk, seed=0)
    config = replace(WHOLE, kl_weight=kl_weight)
    theta = walk.learner.detach().clone()
    estimated = torch.zeros_like(theta)
    step = 1e-5
    for index in range(theta.numel()):
        nudge = torch.zeros_like(theta)
        nudge.view(-1)[index] = step
        above = naive_loss(walk, theta + nudge, groups, config)
        below = naive_loss(walk, theta - nudge, groups, config)
        estimated.view(-1)[index] = (above - below) / (2 * step)
    optimizer = torch.optim.SGD(walk.parameters(), lr=0.0)
    *_, last = train(walk, optimizer, groups, config, seed=0)
    assert 0.05 < last.metrics["policy/clip_fraction"] < 0.95  # both sides of the clip are there
    torch.testing.assert_close(walk.learner.grad, estimated, rtol=1e-6, atol=1e-8)


def test_the_reported_loss_is_the_objective_and_the_ratios_are_in_true_nats() -> None:
    walk = moved_walk(0.05)
    groups = simple_groups(walk, 3)
    expected = naive_loss(walk, walk.learner.detach(), groups, WHOLE).item()
    optimizer = torch.optim.SGD(walk.parameters(), lr=0.0)
    *_, last = train(walk, optimizer, groups, WHOLE, seed=0)
    assert last.metrics["policy/loss"] == pytest.approx(expected, rel=1e-6)
    nats = []
    for group in groups:
        stored = group.trajectories
        for s, t in enumerate(stored.timesteps):
            x = stored.latents[:, s]
            drift, bend = walk.learner.detach()[:, t]
            new = Normal(x + drift + bend * x.tanh(), walk.std[t])
            nats.append(new.log_prob(stored.latents[:, s + 1]).flatten(1).sum(1))
            nats[-1] -= stored.log_probs[:, s] * ELEMENTS
    expected = torch.cat(nats).abs().mean().item()
    assert last.metrics["policy/log_ratio_nats"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4, 8, 16, 64])
def test_micro_batching_leaves_the_gradient_alone(micro_batch: int) -> None:
    walk = moved_walk()
    groups = many_groups(walk, seed=7)
    config = replace(WHOLE, kl_weight=0.3)
    (whole, _) = gradients(walk, groups, replace(config, micro_batch=1000))
    for gradient in gradients(walk, groups, replace(config, micro_batch=micro_batch)):
        torch.testing.assert_close(gradient, whole, rtol=1e-12, atol=1e-15)


def test_leaving_out_images_without_advantage_leaves_the_gradient_alone() -> None:
    walk = moved_walk()
    group = judged(walk.trajectories(5, seed=1), [[0.5, -0.5, 0.0, 0.0, 0.0]], members=[2])
    sums = []
    for keep_silent in (True, False):
        batch = flatten(group, keep_silent=keep_silent)
        mean, std = walk.transition(batch.transitions, "learner")
        new = Normal(mean, std.view(-1, 1, 1, 1)).log_prob(batch.next_latents).flatten(1).mean(1)
        ratio = (new - batch.old_log_probs).exp()
        pushed = clipped_surrogate(ratio, batch.up, batch.down, 0.2).sum()
        sums.append(torch.autograd.grad(pushed, walk.learner)[0])
    assert len(flatten(group, keep_silent=True)) == 10
    assert len(flatten(group, keep_silent=False)) == 4
    torch.testing.assert_close(sums[0], sums[1], rtol=1e-14, atol=0)


def test_a_silent_group_adds_exactly_nothing_and_still_counts_in_the_denominator() -> None:
    walk = moved_walk()
    (speaking,) = simple_groups(walk, 1)
    silent = judged(walk.trajectories(4, seed=50), [leave_one_out([0.3] * 4)])
    unjudged = judged(walk.trajectories(4, seed=51), [])
    (alone, _) = gradients(walk, [speaking], WHOLE)
    (among, _) = gradients(walk, [silent, speaking, unjudged], WHOLE)
    torch.testing.assert_close(among * 3, alone, rtol=1e-12, atol=0)
    assert flatten(silent, keep_silent=True).has_signal is False


def test_a_minibatch_of_silent_groups_takes_no_optimizer_step() -> None:
    walk = moved_walk(0.0)
    silent = judged(walk.trajectories(4, seed=50), [[0.0] * 4])
    groups = [*simple_groups(walk, 1), silent]
    optimizer = torch.optim.AdamW(walk.parameters(), lr=0.1, weight_decay=0.1)
    before = walk.learner.detach().clone()
    config = replace(WHOLE, passes=3, minibatches=2, kl_weight=0.5)
    moves = []
    for progress in train(walk, optimizer, groups, config, seed=0):
        if progress.metrics is not None:
            moves.append((walk.learner.detach() - before).abs().max().item())
    assert len(moves) == 3  # one per pass, not two
    assert optimizer.state[walk.learner]["step"] == 3
    assert all(move > 0 for move in moves)


def test_the_penalty_adds_the_closed_form_gradient_of_the_kl() -> None:
    walk = moved_walk()
    groups = simple_groups(walk, 2)
    beta = 0.4
    (without, _) = gradients(walk, groups, WHOLE)
    (held, _) = gradients(walk, groups, replace(WHOLE, kl_weight=beta))
    stored = torch.cat([group.trajectories.latents for group in groups])
    for s, t in enumerate(groups[0].trajectories.timesteps):
        x = stored[:, s]
        apart = walk.learner[0, t] - walk.base[0, t] + (walk.learner[1, t]) * x.tanh()
        drift = beta / ELEMENTS * (apart / walk.std[t] ** 2).mean(0) / 2  # 2 steps
        torch.testing.assert_close((held - without)[0, t], drift.detach(), rtol=1e-5, atol=1e-7)


def test_kl_to_base_is_zero_at_the_base_and_exact_in_nats_on_one_step() -> None:
    walk = Walk(ELEMENTS, stds=(0.5,))
    walk.move(0.3, seed=4)
    groups = simple_groups(walk, 3)
    x = torch.cat([group.trajectories.latents[:, 0] for group in groups])
    apart = walk.learner[0, 0] + walk.learner[1, 0] * x.tanh()
    expected = ((apart**2).flatten(1).sum(1) / (2 * 0.5**2)).mean().item()
    assert kl_to(walk, groups, "base", 5, seed=0) == pytest.approx(expected, rel=1e-12)
    walk.base = walk.learner.detach().clone()
    assert kl_to(walk, groups, "base", 5, seed=0) == 0


def test_kl_to_base_drawn_at_one_step_each_is_an_unbiased_estimate_of_the_mean() -> None:
    walk = Walk(ELEMENTS, stds=(0.7, 0.4, 0.2))
    walk.move(0.2, seed=4)
    groups = simple_groups(walk, 4)
    x = torch.cat([group.trajectories.latents[:, :-1] for group in groups])
    drift, bend = walk.learner.detach().flip(1)  # steps run from the last timestep down
    apart = drift[None] + bend[None] * x.tanh()
    exact = (apart**2).flatten(2).sum(2) / (2 * walk.std.flip(0) ** 2)
    drawn = torch.tensor([kl_to(walk, groups, "base", 8, seed=s) for s in range(200)])
    error = drawn.std().item() / len(drawn) ** 0.5
    assert drawn.mean().item() == pytest.approx(exact.mean().item(), abs=4 * error)
    assert 0 < error < 0.05 * exact.mean().item()


def test_the_gradient_norm_is_clipped_and_reported_as_it_was() -> None:
    walk = moved_walk(0.0)
    groups = simple_groups(walk, 2)
    (whole, _) = gradients(walk, groups, WHOLE)
    config = replace(WHOLE, max_grad_norm=0.01)
    before = walk.learner.detach().clone()
    for progress in train(walk, torch.optim.SGD(walk.parameters(), lr=1.0), groups, config, seed=0):
        if progress.metrics is not None:
            break
    assert whole.norm() > 0.02
    assert progress.metrics["policy/grad_norm"] == pytest.approx(whole.norm().item(), rel=1e-9)
    assert (walk.learner.detach() - before).norm().item() == pytest.approx(0.01, rel=1e-3)
