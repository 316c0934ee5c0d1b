"""Ratio 1 is a fact: a trajectory replays to the very log_prob it was stored with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.rl.fidelity import replay_deviation
from loop_studio.rl.gaussian import log_prob
from loop_studio.rl.types import Sampler, Trajectories, Transitions, Weights
from tests import tiny
from tests.diffusion.judging import one_group

K = 4
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def replay(
    policy: StableDiffusionPolicy, stored: Trajectories, weights: Weights, rows: int
) -> Tensor:
    """log ratios of every stored transition, replayed `rows` at a time: (k * S,)."""
    k, count = stored.log_probs.shape
    latents = stored.latents[:, :-1].transpose(0, 1).flatten(0, 1)  # step after step
    after = stored.latents[:, 1:].transpose(0, 1).flatten(0, 1)
    timesteps = stored.timesteps.repeat_interleave(k)
    found = []
    for start in range(0, k * count, rows):
        part = slice(start, start + rows)
        prompts = (stored.prompt,) * len(timesteps[part])
        transitions = Transitions(prompts, stored.sampler, latents[part], timesteps[part])
        mean, std = policy.transition(transitions, weights)
        found.append(log_prob(after[part], mean, std).detach())
    return torch.cat(found) - stored.log_probs.T.flatten()


@pytest.fixture(scope="module")
def policies() -> dict[tuple[str, str], StableDiffusionPolicy]:
    return {
        (kind, name): tiny.policy(prediction_type=kind, dtype=dtype)
        for kind in ("epsilon", "v_prediction")
        for name, dtype in DTYPES.items()
    }


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("precision", list(DTYPES))
def test_ratio_is_exactly_one_in_the_rollouts_own_batch_shape(
    policies: dict[tuple[str, str], StableDiffusionPolicy],
    guidance_scale: float,
    prediction_type: str,
    precision: str,
) -> None:
    policy = policies[prediction_type, precision]
    sampler = Sampler(6, guidance_scale, 1.0)
    stored = one_group(policy, "a blue cat", [3, 1, 4, 1], sampler).trajectories
    assert stored.latents.dtype == stored.log_probs.dtype == torch.float32
    assert replay(policy, stored, "live", K).abs().max() == 0
    assert [replay_deviation(policy, stored, "live", step=s) for s in range(4)] == [0.0] * 4
    # The weights matter: another adapter, and none at all, give other ratios.
    assert replay(policy, stored, "learner", K).abs().min() > 0
    assert replay(policy, stored, "base", K).abs().min() > 0


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_log_ratio_stays_below_one_millionth_per_element_in_any_other_batch_shape(
    policies: dict[tuple[str, str], StableDiffusionPolicy],
    guidance_scale: float,
    prediction_type: str,
) -> None:
    policy = policies[prediction_type, "float32"]
    sampler = Sampler(6, guidance_scale, 1.0)
    stored = one_group(policy, "a blue cat", [3, 1, 4, 1], sampler).trajectories
    for rows in (1, 2, K, 2 * K, 4 * K):
        assert replay(policy, stored, "live", rows).abs().max() <= 1e-6


def test_the_learner_replays_exactly_too_while_it_still_equals_the_live_weights() -> None:
    policy = tiny.policy()
    policy.adapters.copy("live", "learner")
    stored = one_group(policy, "a cat", [1, 2, 3, 4], Sampler(6, 4.0, 1.0))
    with_gradients = replay(policy, stored.trajectories, "learner", K)
    assert with_gradients.abs().max() == 0


def test_an_older_versions_trajectory_replays_exactly_under_the_archive() -> None:
    policy = tiny.policy()
    stored = one_group(policy, "a cat", [1, 2], Sampler(6, 4.0, 1.0)).trajectories
    policy.adapters.copy("live", "archive")
    tiny.stir(policy, "live", seed=5)
    assert replay_deviation(policy, stored, "live", step=2) > 1e-6
    assert replay_deviation(policy, stored, "archive", step=2) == 0


def test_the_behaviour_mean_can_be_recovered_from_the_seeds() -> None:
    policy = tiny.policy()
    sampler = Sampler(6, 4.0, 1.0)
    stored = one_group(policy, "a cat", [11, 12], sampler).trajectories
    std = policy.schedule.steps(sampler).std
    for row, seed in enumerate((11, 12)):
        generator = torch.Generator().manual_seed(seed)
        assert torch.equal(torch.randn((4, 8, 8), generator=generator), stored.latents[row, 0])
        for s in range(stored.log_probs.shape[1]):
            noise = torch.randn((4, 8, 8), generator=generator)
            mean = stored.latents[row, s + 1] - std[s] * noise
            density = log_prob(stored.latents[row : row + 1, s + 1], mean[None], std[s : s + 1])
            assert density.item() == pytest.approx(stored.log_probs[row, s].item(), abs=1e-5)


def test_log_prob_is_finite_on_the_last_stored_transition_and_no_noisier_step_is_missing() -> None:
    policy = tiny.policy()
    sampler = Sampler(20, 1.0, 1.0)
    stored = one_group(policy, "a cat", [1], sampler).trajectories
    assert stored.log_probs.shape == (1, 18)
    assert stored.latents.shape == (1, 19, 4, 8, 8)
    assert stored.timesteps[-1] == 101
    assert stored.log_probs.isfinite().all()
    assert stored.log_probs[0, -1] < 5  # a mean over elements: -log sigma - 1.4 and noise


def test_only_what_is_trained_is_stored() -> None:
    policy = tiny.policy()
    drawn = one_group(policy, "a cat", [1, 2], Sampler(6, 1.0, 1.0), drawn_steps=2).trajectories
    assert drawn.trained.sum(1).tolist() == [2, 2]
    last = int(drawn.trained.any(0).nonzero().max())
    assert drawn.log_probs.shape == (2, last + 1)
    assert drawn.latents.shape == (2, last + 2, 4, 8, 8)


def test_where_the_lora_does_not_act_the_base_model_paints() -> None:
    """Two trained steps, then the base model: the same as changing the weights by hand."""
    policy = tiny.policy()
    first = Sampler(6, 4.0, 1.0, lora_steps=2)
    made = one_group(policy, "a cat", [1, 2], first)
    stored = made.trajectories
    assert stored.trained.tolist() == [[True, True]] * 2
    assert replay(policy, stored, "live", 2).abs().max() == 0
    everywhere = one_group(policy, "a cat", [1, 2], Sampler(6, 4.0, 1.0))
    assert torch.equal(stored.latents, everywhere.trajectories.latents[:, :3])
    assert (made.images != everywhere.images).any()
    looked_at = policy.sample(["a cat"] * 2, [1, 2], first, "live")
    assert (made.images == looked_at).all()

    latents = stored.latents[:, 2]
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    noises = [torch.randn((7, 4, 8, 8), generator=g) for g in generators]
    grid = policy.schedule.steps(first)
    for s in range(2, 6):
        here = Transitions(("a cat",) * 2, first, latents, grid.timesteps[s].expand(2))
        with torch.no_grad():
            mean, std = policy.transition(here, "base")
        latents = mean + std.view(-1, 1, 1, 1) * torch.stack([n[s + 1] for n in noises])
    assert (policy.decode(latents) == made.images).all()
