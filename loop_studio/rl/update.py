"""One LOOP update, as a generator: the caller persists, reports, cancels by not asking on, and
serves raters between its micro-batches. What it leaves out: reading groups, judging whether
they replay faithfully (rl.fidelity), and publishing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from loop_studio.rl.batch import Batch, flatten, micro_batches, split_rows
from loop_studio.rl.course import Course, Progress
from loop_studio.rl.gaussian import kl_divergence, log_prob
from loop_studio.rl.late import LateRatings, treat
from loop_studio.rl.objective import clip_range, clipped_surrogate
from loop_studio.rl.tally import Tally
from loop_studio.rl.types import GuidanceGradient, JudgedGroup, Policy, Weights

SCALES = 17  # of fp16's loss, from the 2^16 it starts with down to 1


@dataclass(frozen=True)
class LoopConfig:
    """The numbers of an update; each is explained in loop_studio.config."""

    passes: int = 2
    minibatches: int = 2
    single_step: bool = False  # one optimizer step on all groups: REINFORCE and RLOO
    clip_nats: float = 1.6
    kl_weight: float = 0.0
    max_grad_norm: float = 1.0
    micro_batch: int = 16
    guidance_gradient: GuidanceGradient = "both"
    late: LateRatings = field(default_factory=LateRatings)

    def one_step(self) -> LoopConfig:
        """The same with a single pass over a single minibatch."""
        return replace(self, passes=1, minibatches=1)


def train(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    groups: Sequence[JudgedGroup],
    config: LoopConfig,
    *,
    seed: int,
    scaler: torch.amp.GradScaler | None = None,
) -> Iterator[Progress]:
    """Maximise the clipped objective over `groups`; yields after every micro-batch and step.

    Each pass shuffles whole groups (its own generator, from `seed`) into `minibatches`; each
    minibatch is one optimizer step, accumulated over micro-batches. A minibatch without any
    advantage takes no step, for AdamW's momentum would still move. With a KL penalty the base
    model's means are computed once, before the first pass, and serve every pass. Where memory runs
    out, the minibatch is begun again in micro-batches of half the size: the same gradient. A step
    whose gradient is not finite (in fp16: at any loss scale) is skipped and counted;
    FloatingPointError when all of them are.
    Raises ValueError below two optimizer steps (that is RLOO) unless `single_step` asks for one,
    or without any signal.
    """
    config = config.one_step() if config.single_step else config
    if config.passes * min(config.minibatches, len(groups)) < 2 and not config.single_step:
        raise ValueError("LOOP needs at least two optimizer steps; with one it is RLOO")
    with_penalty = config.kl_weight > 0
    batches = [flatten(group, keep_silent=with_penalty) for group in groups]
    late = [g for g, group in enumerate(groups) if group.lag > 0]
    late = late if config.late.treatment != "stored" else []
    total = sum(map(len, batches))
    course = Course(
        {
            "late": sum(len(batches[g]) for g in late),
            "reference": with_penalty * total,
            "training": config.passes * total,
        },
        config.micro_batch,
    )
    if late:
        yield from course.run("late", partial(treat, policy, batches, late, config.late))
    plan, silent = _plan(batches, config, seed)  # what the gate left without a push is silent too
    course.left["training"] -= silent
    if not plan:
        raise ValueError("no group has a learning signal")
    if with_penalty:
        yield from course.run("reference", partial(_fill_references, policy, batches))
    skipped = 0
    for chosen in plan:
        tally = Tally()
        minibatch = [batches[g] for g in chosen]
        accumulate = partial(_accumulate, policy, optimizer, minibatch, config, scaler, tally)
        take_step = partial(_optimizer_step, policy, optimizer, config, scaler)
        times = 1 if scaler is None else SCALES
        norm = yield from course.until_finite(accumulate, take_step, times)
        skipped += not math.isfinite(norm)
        yield course.progress(tally.metrics(norm) | {"policy/skipped_steps": skipped}, tally)
    if skipped == len(plan):
        raise FloatingPointError(f"no gradient was finite; the last one's norm is {norm}")


def kl_to(
    policy: Policy, groups: Sequence[JudgedGroup], reference: Weights, size: int, seed: int
) -> float:
    """KL from the learner to other weights in true nats per step, averaged over trajectories.

    One trained step of each trajectory, drawn uniformly: an unbiased estimate of the mean over
    all of them at a fraction of the cost.
    """
    generator = torch.Generator().manual_seed(seed)
    batches = [flatten(_one_step_each(group, generator), keep_silent=True) for group in groups]
    total, count = 0.0, 0
    for micro in micro_batches(batches, size):
        micro = micro.to(_device(policy))
        with torch.no_grad():
            mean, std = policy.transition(micro.transitions, "learner")
            other, _ = policy.transition(micro.transitions, reference)
        total += kl_divergence(mean, other, std).sum().item()
        count += len(micro)
    return total / count


def _accumulate(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    minibatch: Sequence[Batch],
    config: LoopConfig,
    scaler: torch.amp.GradScaler | None,
    tally: Tally,
    size: int,
) -> Iterator[int]:
    """The gradient of a minibatch of groups, and sums for its metrics; yields per micro-batch."""
    optimizer.zero_grad(set_to_none=True)
    tally.clear()
    for micro in micro_batches(minibatch, size):
        loss = _loss(policy, micro, config, tally) / len(minibatch)
        (loss if scaler is None else scaler.scale(loss)).backward()
        tally.loss += loss.item()
        yield len(micro)


def _loss(policy: Policy, micro: Batch, config: LoopConfig, tally: Tally) -> Tensor:
    """The micro-batch's part of the loss, summed over its transitions, before 1/G."""
    micro = micro.to(_device(policy))
    elements = micro.latents[0].numel()
    c = clip_range(config.clip_nats, elements)
    here = replace(micro.transitions, guidance_gradient=config.guidance_gradient)
    mean, std = policy.transition(here, "learner")
    log_ratio = log_prob(micro.next_latents, mean, std) - micro.old_log_probs
    ratio = log_ratio.exp()
    loss = -clipped_surrogate(ratio, micro.up, micro.down, c).sum()
    kl = torch.zeros_like(log_ratio)
    if config.kl_weight > 0:
        kl = kl_divergence(mean, micro.reference, std)
        loss = loss + config.kl_weight * (kl * micro.kl_share).sum() / elements
    nats = log_ratio.detach().double() * elements
    tally.add(micro, ratio.detach(), nats, kl.detach(), c)
    return loss


def _fill_references(policy: Policy, batches: list[Batch], size: int) -> Iterator[int]:
    """Put the base model's means into `batches`, in place; yields per micro-batch.

    Full micro-batches run across groups, so that this pass is as quick per sample as training.
    """
    means = []
    for micro in micro_batches(batches, size):
        with torch.no_grad():
            mean, _ = policy.transition(micro.to(_device(policy)).transitions, "base")
        means.append(mean.to(micro.latents.device))
        yield len(micro)
    for g, reference in enumerate(split_rows(torch.cat(means), batches)):
        batches[g] = replace(batches[g], reference=reference)


def _optimizer_step(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    config: LoopConfig,
    scaler: torch.amp.GradScaler | None,
) -> float:
    """Unscale in float32, clip the norm, step; returns the norm before it was clipped.

    A gradient that is not finite leaves the weights alone; a scaler then lowers its scale.
    """
    if scaler is not None:
        scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
    if scaler is not None:
        scaler.step(optimizer)
        scaler.update()
    elif norm.isfinite():
        optimizer.step()
    return norm.item()


def _plan(batches: Sequence[Batch], config: LoopConfig, seed: int) -> tuple[list[list[int]], int]:
    """The minibatches that take a step, and how many rows are in those that do not."""
    plan, silent = [], 0
    for chosen in _minibatches(len(batches), config, seed):
        if any(batches[g].has_signal for g in chosen):
            plan.append(chosen)
        else:
            silent += sum(len(batches[g]) for g in chosen)
    return plan, silent


def _minibatches(count: int, config: LoopConfig, seed: int) -> Iterator[list[int]]:
    """Whole groups, shuffled anew in each pass and split as evenly as they go."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(config.passes):
        order = torch.randperm(count, generator=generator)
        for part in order.tensor_split(min(config.minibatches, count)):
            yield part.tolist()


def _one_step_each(group: JudgedGroup, generator: torch.Generator) -> JudgedGroup:
    stored = group.trajectories
    drawn = torch.multinomial(stored.trained.double(), 1, generator=generator)
    one = torch.zeros_like(stored.trained).scatter(1, drawn, value=True)
    return replace(group, trajectories=replace(stored, trained=one))


def _device(policy: Policy) -> torch.device:
    return policy.parameters()[0].device
