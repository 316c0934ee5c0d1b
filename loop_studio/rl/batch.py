"""From judged groups to micro-batches of transitions, each carrying its share of the objective."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby

import torch
from torch import Tensor

from loop_studio.rl.types import JudgedGroup, Sampler, Transitions


@dataclass(frozen=True)
class Batch:
    """N trained denoising steps of images that were sampled alike."""

    sampler: Sampler
    prompts: tuple[str, ...]  # N
    latents: Tensor  # (N, C, H, W)
    next_latents: Tensor  # (N, C, H, W)
    timesteps: Tensor  # (N,)
    old_log_probs: Tensor  # (N,) under the version that sampled them
    up: Tensor  # (N,) upward push times the share of the step, >= 0
    down: Tensor  # (N,) downward push times the share of the step, <= 0
    kl_share: Tensor  # (N,) 1 / (k |T_i|): the penalty is a mean over images and steps
    reference: Tensor  # (N, C, H, W) means of the base model; (N, 0) without a KL penalty

    def __len__(self) -> int:
        """N."""
        return len(self.prompts)

    @property
    def has_signal(self) -> bool:
        """Whether any transition is pushed at all."""
        return bool((self.up > 0).any() or (self.down < 0).any())

    @property
    def transitions(self) -> Transitions:
        """What a policy needs to know of them."""
        return Transitions(self.prompts, self.sampler, self.latents, self.timesteps)

    def __getitem__(self, rows: slice) -> Batch:
        """The transitions in `rows`."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _PER_ROW})

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        return replace(self, **{name: getattr(self, name).to(device) for name in _TENSORS})


_PER_ROW = tuple(f.name for f in fields(Batch) if f.name != "sampler")
_TENSORS = tuple(name for name in _PER_ROW if name != "prompts")


def flatten(group: JudgedGroup, *, keep_silent: bool) -> Batch:
    """The group's trained transitions.

    Images without any advantage are left out unless `keep_silent` (a KL penalty holds them too);
    no denominator changes, so the gradients are the same.
    """
    stored = group.trajectories
    up, down = group.pushes()
    counts = stored.trained.sum(1).clamp(min=1).double()
    shares = group.step_shares()
    pushed = (up > 0) | (down < 0)
    wanted = stored.trained if keep_silent else stored.trained & pushed[:, None]
    image, step = wanted.nonzero(as_tuple=True)
    return Batch(
        sampler=stored.sampler,
        prompts=(stored.prompt,) * len(image),
        latents=stored.latents[image, step],
        next_latents=stored.latents[image, step + 1],
        timesteps=stored.timesteps[step],
        old_log_probs=stored.log_probs[image, step],
        up=(up[:, None] * shares)[image, step].float(),
        down=(down[:, None] * shares)[image, step].float(),
        kl_share=(1 / (stored.group_size * counts))[image].float(),
        reference=torch.zeros(len(image), 0),
    )


def micro_batches(batches: Sequence[Batch], size: int) -> Iterator[Batch]:
    """Batches of at most `size` transitions, across groups but never across samplers."""
    ordered = [batches[index] for index in by_sampler(batches)]
    for _, alike in groupby(ordered, key=lambda batch: batch.sampler):
        together = _join(list(alike))
        for start in range(0, len(together), size):
            yield together[start : start + size]


def by_sampler(batches: Sequence[Batch]) -> list[int]:
    """Indices of `batches` in the order of `micro_batches`: samplers in order of appearance."""
    samplers = list(dict.fromkeys(batch.sampler for batch in batches))
    return sorted(range(len(batches)), key=lambda index: samplers.index(batches[index].sampler))


def split_rows(rows: Tensor, batches: Sequence[Batch]) -> list[Tensor]:
    """Rows in the order of `micro_batches`, one tensor per batch in the order of `batches`."""
    order = by_sampler(batches)
    parts = dict(zip(order, rows.split([len(batches[index]) for index in order]), strict=True))
    return [parts[index] for index in range(len(batches))]


def _join(batches: Sequence[Batch]) -> Batch:
    return Batch(
        sampler=batches[0].sampler,
        prompts=tuple(prompt for batch in batches for prompt in batch.prompts),
        **{name: torch.cat([getattr(batch, name) for batch in batches]) for name in _TENSORS},
    )
