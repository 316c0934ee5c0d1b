"""What a project's settings mean to the engine: the studio and the library read them alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from loop_studio.config import ProjectConfig
from loop_studio.diffusion.adapters import LoraShape
from loop_studio.diffusion.policy import Rollout, StableDiffusionPolicy
from loop_studio.estimators import SINGLE_STEP
from loop_studio.rl.late import LateRatings
from loop_studio.rl.objective import brake
from loop_studio.rl.types import JudgedGroup, Sampler, Weights
from loop_studio.rl.update import LoopConfig


def sampler_of(config: ProjectConfig) -> Sampler:
    """How a project samples. The LoRA acts where it is trained: nowhere else can it drift."""
    return Sampler(
        config.num_inference_steps,
        config.guidance_scale,
        config.eta,
        lora_steps=_part(config) if config.trained_steps == "high_noise" else None,
    )


def drawn_steps_of(config: ProjectConfig) -> int | None:
    """How many steps per trajectory its rollouts draw for training; None for all they may."""
    return _part(config) if config.trained_steps == "random" else None


def groups_per_pass(config: ProjectConfig) -> int:
    """How many groups are sampled together.

    Twice the rows of an update's passes: without gradients they need less than half the memory. In
    half precision one: there a replay in another batch shape strays too far from its rollout.
    """
    if config.precision != "float32":
        return 1
    return max(1, 2 * config.micro_batch // config.group_size)


def sample_groups(
    policy: StableDiffusionPolicy,
    prompts: Sequence[str],
    seeds: Sequence[Sequence[int]],
    config: ProjectConfig,
    weights: Weights = "live",
) -> list[Rollout]:
    """A group per prompt, all in the same passes; where memory runs out, in halves."""
    drawn = drawn_steps_of(config)
    try:
        return policy.rollouts(
            prompts, seeds, sampler_of(config), drawn_steps=drawn, weights=weights
        )
    except torch.OutOfMemoryError:
        if len(prompts) == 1:
            raise
    half = len(prompts) // 2
    return [
        *sample_groups(policy, prompts[:half], seeds[:half], config, weights),
        *sample_groups(policy, prompts[half:], seeds[half:], config, weights),
    ]


def shape_of(config: ProjectConfig) -> LoraShape:
    """The adapter that versions grown from the base get."""
    return LoraShape(config.lora_rank, config.lora_alpha, config.lora_targets)


def loop_of(
    config: ProjectConfig, kl_to_base: float, late: LateRatings | None = None
) -> LoopConfig:
    """The numbers of an update that starts `kl_to_base` nats per step from the base model."""
    return LoopConfig(
        passes=config.passes,
        minibatches=config.minibatches,
        single_step=config.estimator in SINGLE_STEP,
        clip_nats=config.clip_nats,
        kl_weight=brake(config.kl_weight, config.kl_budget, kl_to_base),
        max_grad_norm=config.max_grad_norm,
        micro_batch=config.micro_batch,
        guidance_gradient=config.guidance_gradient,
        late=late or LateRatings(),
    )


def step_weighted(
    policy: StableDiffusionPolicy, groups: Sequence[JudgedGroup], config: ProjectConfig
) -> list[JudgedGroup]:
    """The groups with what each trained step counts, as `step_weights` says."""
    if config.step_weights == "alike":
        return list(groups)
    return [
        replace(
            group,
            step_weights=policy.trainable_steps(group.trajectories.sampler).noise_weights.cpu()[
                : group.trajectories.log_probs.shape[1]
            ],
        )
        for group in groups
    ]


def _part(config: ProjectConfig) -> int:
    return max(1, round(config.trained_fraction * config.num_inference_steps))
