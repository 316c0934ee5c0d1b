"""LOOP without the studio: a policy, groups, and updates on rewards of your own.

    policy = load_policy("starter")
    loop = Loop(policy)
    groups = loop.rollouts(["a red circle"] * 4)
    loop.update(groups, [[float(image.mean()) for image in group.images] for group in groups])

Everything stays in memory; `Loop.lora` is what you keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from loop_studio import model_folder
from loop_studio.config import ProjectConfig
from loop_studio.diffusion.loading import snapshot
from loop_studio.diffusion.lora_file import Checkpoint, diffusers_lora
from loop_studio.diffusion.memory import check_fits
from loop_studio.diffusion.policy import Rollout, StableDiffusionPolicy
from loop_studio.diffusion.recipe import (
    groups_per_pass,
    loop_of,
    sample_groups,
    shape_of,
    step_weighted,
)
from loop_studio.errors import Invalid, ModelUnusable
from loop_studio.estimators import Judged, estimate, judge_of
from loop_studio.rl.types import JudgedGroup
from loop_studio.rl.update import kl_to, train
from loop_studio.settings import STARTER
from loop_studio.starter.paths import folder_of


def load_policy(
    model: str = STARTER,
    config: ProjectConfig | None = None,
    *,
    device: str = "cpu",
    token: str | None = None,
) -> StableDiffusionPolicy:
    """The starter, a diffusers folder or a hub id, with an adapter that changes nothing yet.

    A hub id may name a revision, `owner/name@revision`. Raises ModelUnusable with a sentence.
    """
    config = config or ProjectConfig()
    place, where = torch.device(device), folder_of(model)
    if model_folder.kind(str(where)) == "hub":
        where = snapshot(str(where), None, token)
    if (sentence := model_folder.fault(Path(where))) is not None:
        raise ModelUnusable(sentence)
    check_fits(Path(where), config, place)
    policy = StableDiffusionPolicy.load(
        Path(where), shape_of(config), device=place, dtype=getattr(torch, config.precision)
    )
    for slot in ("live", "learner"):
        policy.adapters.reset(slot, shape_of(config), seed=0)
    return policy


class Loop:
    """Rollouts and updates of one policy, as the studio's worker does them.

    `config` holds the same settings as a project's; give `load_policy` the same. `seed` decides
    every random draw here.
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
        policy.checkpoint_gradients(self.config.gradient_checkpointing)
        halves = policy.dtype == torch.float16
        self._scaler = torch.amp.GradScaler(policy.device.type) if halves else None
        self._optimizer = torch.optim.AdamW(
            policy.parameters(), lr=self.config.learning_rate, weight_decay=0.0
        )

    def rollouts(self, prompts: Sequence[str]) -> list[Rollout]:
        """A group of k images per prompt under the live weights, as many to a pass as fit."""
        k, together = self.config.group_size, groups_per_pass(self.config)
        seeds = torch.randint(2**31, (len(prompts), k), generator=self._seeds).tolist()
        made: list[Rollout] = []
        for start in range(0, len(prompts), together):
            part = slice(start, start + together)
            made += sample_groups(self.policy, prompts[part], seeds[part], self.config)
        return made

    def update(
        self, groups: Sequence[Rollout], rewards: Sequence[Sequence[float]]
    ) -> dict[str, float]:
        """One update on a reward per image, (G, k); the next rollouts use it. Returns its metrics.

        Rewards are weighed against the KL penalty as they are: scale them to a standard deviation
        of about 1 within a group. Raises Invalid unless there is one finite reward per image, and
        ValueError where no group has a signal, or LOOP would take fewer than two steps.
        """
        _check(groups, rewards)
        judge = judge_of("reward", None, "score")
        judgements = [
            Judged(judge, group.trajectories.prompt, "score", tuple(map(float, own)))
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
        size, seed = loop.micro_batch, int(torch.randint(2**31, (), generator=self._seeds))
        for progress in train(
            self.policy, self._optimizer, judged, loop, seed=seed, scaler=self._scaler
        ):
            metrics |= progress.metrics or {}
            size = progress.micro_batch
        self._kl_to_base = kl_to(self.policy, judged, "base", size, seed)
        self.policy.adapters.copy("learner", "live")
        for one in judgements:
            self._past.setdefault((one.judge, one.prompt_id), []).extend(one.rewards)
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
