"""LOOP without the studio: a policy, groups, and updates on rewards of your own.

    policy = load_policy("starter")
    loop = Loop(policy)
    groups = loop.rollouts(["a red circle"] * 4)
    loop.update(groups, [[float(image.mean()) for image in group.images] for group in groups])

Everything stays in memory; `Loop.lora` is what you keep.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from loop_studio.config import ProjectConfig
from loop_studio.diffusion.lora_file import Checkpoint, diffusers_lora
from loop_studio.diffusion.policy import Rollout, StableDiffusionPolicy
from loop_studio.diffusion.recipe import (
    drawn_steps_of,
    loop_of,
    sampler_of,
    shape_of,
    step_weighted,
)
from loop_studio.errors import Invalid
from loop_studio.estimators import Judged, estimate
from loop_studio.rl.types import JudgedGroup
from loop_studio.rl.update import kl_to, train
from loop_studio.settings import STARTER
from loop_studio.starter.paths import DIFFUSION_FOLDER


def load_policy(
    model: str = STARTER,
    config: ProjectConfig | None = None,
    *,
    device: str = "cpu",
    token: str | None = None,
) -> StableDiffusionPolicy:
    """The starter, a diffusers folder or a hub id, with an adapter that changes nothing yet.

    Raises ModelUnusable with a sentence.
    """
    config = config or ProjectConfig()
    policy = StableDiffusionPolicy.load(
        DIFFUSION_FOLDER if model == STARTER else model,
        shape_of(config),
        device=torch.device(device),
        dtype=getattr(torch, config.precision),
        token=token,
    )
    for slot in ("live", "learner"):
        policy.adapters.reset(slot, shape_of(config), seed=0)
    return policy


class Loop:
    """Rollouts and updates of one policy, as the studio's worker does them.

    `config` holds the same settings as a project's; `seed` decides every random draw.
    """

    def __init__(
        self,
        policy: StableDiffusionPolicy,
        config: ProjectConfig | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.policy = policy
        self.config = config or ProjectConfig()
        self.updates = 0
        self._seeds = torch.Generator().manual_seed(seed)
        self._kl_to_base = 0.0
        self._past: dict[tuple[str, str], list[float]] = {}
        halves = self.config.precision == "float16"
        self._scaler = torch.amp.GradScaler(policy.device.type) if halves else None
        self._optimizer = torch.optim.AdamW(
            policy.parameters(), lr=self.config.learning_rate, weight_decay=0.0
        )

    def rollouts(self, prompts: Sequence[str]) -> list[Rollout]:
        """A group of k images per prompt under the live weights, all in the same UNet passes."""
        k = self.config.group_size
        seeds = torch.randint(2**31, (len(prompts), k), generator=self._seeds).tolist()
        return self.policy.rollouts(
            prompts, seeds, sampler_of(self.config), drawn_steps=drawn_steps_of(self.config)
        )

    def update(
        self, groups: Sequence[Rollout], rewards: Sequence[Sequence[float]]
    ) -> dict[str, float]:
        """One update on a reward per image, (G, k); the next rollouts use it. Returns its metrics.

        Raises Invalid unless there is one finite reward per image, and ValueError where all
        rewards of every group are equal.
        """
        _check(groups, rewards)
        judgements = [
            Judged("reward", group.trajectories.prompt, "score", tuple(map(float, own)))
            for group, own in zip(groups, rewards, strict=True)
        ]
        pushes = estimate(self.config.estimator, judgements, self._past)
        judged = [
            JudgedGroup(
                str(number),
                group.trajectories,
                torch.tensor([push], dtype=torch.float64),
                torch.tensor([len(push)]),
            )
            for number, (group, push) in enumerate(zip(groups, pushes, strict=True))
        ]
        judged = step_weighted(self.policy, judged, self.config)
        loop = loop_of(self.config, self._kl_to_base)
        metrics: dict[str, float] = {}
        steps = train(
            self.policy, self._optimizer, judged, loop, seed=self.updates, scaler=self._scaler
        )
        for progress in steps:
            metrics |= progress.metrics or {}
        self._kl_to_base = kl_to(self.policy, judged, "base", loop.micro_batch, self.updates)
        self.policy.adapters.copy("learner", "live")
        for one in judgements:
            self._past.setdefault((one.source, one.prompt_id), []).extend(one.rewards)
        self.updates += 1
        return metrics | {"policy/kl_to_base": self._kl_to_base}

    def lora(self) -> bytes:
        """The live weights as a file for `pipeline.load_lora_weights`."""
        adapters = self.policy.adapters
        return diffusers_lora(
            Checkpoint(adapters.state("live"), adapters.shapes["live"], {}, {}),
            {"loop.update": str(self.updates)},
        )


def _check(groups: Sequence[Rollout], rewards: Sequence[Sequence[float]]) -> None:
    if [len(group.images) for group in groups] != [len(own) for own in rewards]:
        raise Invalid("rewards must have one number per image of every group.")
    if not all(torch.tensor([float(r) for own in rewards for r in own]).isfinite()):
        raise Invalid("rewards must be finite numbers; look for divisions by zero.")
