"""Job `update`: from claimed groups to a published version. The main path of learning.

Killed at any point, or paused, the job is claimed again and starts over from its recorded inputs
and its recorded seed, so it ends in the same weights.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from loop_studio.config import ProjectConfig
from loop_studio.diffusion import lora_file, trajectory_file
from loop_studio.diffusion.lora_file import Checkpoint
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.diffusion.recipe import loop_of, step_weighted
from loop_studio.errors import NotFound, Refused, StudioError, Unfaithful
from loop_studio.estimators import SINGLE_STEP
from loop_studio.jobs import guard, version_files
from loop_studio.jobs.bench import Bench, UnderWay
from loop_studio.jobs.curves import Recorder
from loop_studio.jobs.inputs import claim_inputs
from loop_studio.jobs.job_log import kept
from loop_studio.rl.fidelity import replay_deviation, staleness, tolerance
from loop_studio.rl.objective import clip_range
from loop_studio.rl.tally import KL_TO_BASE, advantage_spread
from loop_studio.rl.types import JudgedGroup, Weights
from loop_studio.rl.update import kl_to, train
from loop_studio.storage import groups, projects, updates, versions
from loop_studio.storage.curves import Curves
from loop_studio.storage.files import StoredFile
from loop_studio.storage.forecast import SPEED
from loop_studio.storage.schema import Group, Job, Project, Update, UpdateInput, Version

log = logging.getLogger(__name__)

UNFAITHFUL_SHARE = 0.1  # more excluded groups than this and the update is refused
_EXCLUDED = "The group no longer replays as it was made."


def run(bench: Bench, job: Job) -> None:
    """Claim inputs, check that they replay, train, let the guard look, publish; with its log."""
    began = time.monotonic()
    under_way = bench.begin(job)
    with kept(under_way.log):
        try:
            _run(bench, job, began)
        except StudioError as error:
            log.info("%s", error.detail)
            raise
        except Exception as error:
            log.error("%s: %s", type(error).__name__, error)
            raise
        finally:
            bench.keep_log(job)


def _run(bench: Bench, job: Job, began: float) -> None:
    assert job.update_id is not None
    update = updates.start(bench.db, job.update_id, job)
    project = projects.get(bench.db, update.project_id)
    config = projects.revision(bench.db, update.revision_id).config
    parent = versions.get(bench.db, update.parent_id)
    log.info("update %d starts from version %d", update.number, parent.number)
    claimed, inputs = claim_inputs(bench, job, update)
    update = updates.get(bench.db, update.id)  # its files tell how many ratings it claimed
    log.info("%d groups are claimed; checking that they replay", len(claimed))
    policy = bench.models.ready(project, config, "learner", parent)
    bench.models.learner_moved()
    judged = _faithful(bench, job, update, claimed, inputs)
    _check_trainable(judged, config)
    learner = _learner(bench, policy, config, parent)
    metrics, curves = _train(bench, job, learner, judged, config, update.seed)
    checked = guard.check(bench, job, update, policy, config, metrics[KL_TO_BASE])
    files = _write(bench, project, config, update, learner.checkpoint())
    metrics |= bench.under_way.peaks | {"time/update_s": time.monotonic() - began}
    version = updates.publish(bench.db, job, update.id, files, metrics, curves, checked)
    log.info("version %d is published", version.number)
    if updates.get(bench.db, update.id).made_live:
        bench.models.publish(policy, version, config)


def _faithful(
    bench: Bench, job: Job, update: Update, claimed: Sequence[Group], inputs: Sequence[UpdateInput]
) -> list[JudgedGroup]:
    """The claimed groups that replay under their own versions; the others are excluded for good.

    Sorted by version, so that each older version is loaded once. Raises Unfaithful when more than
    a tenth do not replay: the next update then finds only those that do.
    """
    project = projects.get(bench.db, update.project_id)
    config = projects.revision(bench.db, update.revision_id).config
    rows: dict[str, list[UpdateInput]] = defaultdict(list)
    for row in inputs:
        rows[row.group_id].append(row)
    generator = torch.Generator().manual_seed(update.seed)
    lags = versions.lags(bench.db, (group.version_id for group in claimed), update.parent_id)
    kept, lost = [], []
    for step, group in enumerate(sorted(claimed, key=lambda group: group.version_id)):
        bench.between(job, "checking", step, len(claimed))
        try:
            candidate = _judged_group(bench, group, rows[group.id])
            stale = _check_replay(bench, project, config, update, group, candidate, generator)
            updates.record_lateness(bench.db, update, group, lags[group.version_id], stale)
            kept.append(candidate)
        except (Unfaithful, NotFound) as error:
            log.warning("group %s is excluded: %s", group.id, error.detail)
            lost.append(group.id)
    updates.exclude_groups(bench.db, update.id, lost, _EXCLUDED)
    if len(lost) > UNFAITHFUL_SHARE * len(claimed):
        raise Unfaithful(
            f"{len(lost)} of {len(claimed)} groups do not replay as they were made, so nothing "
            "was trained. They are left out from now on; their ratings are kept. Were the "
            "model's files, the precision or the device changed? Rate new groups, then try again."
        )
    return kept


def _check_replay(
    bench: Bench,
    project: Project,
    config: ProjectConfig,
    update: Update,
    group: Group,
    candidate: JudgedGroup,
    generator: torch.Generator,
) -> float:
    """Replay one random stored step under the group's own version; raises Unfaithful.

    Returns its staleness at that step, in nats.
    """
    slot: Weights = "live" if group.version_id == project.live_version_id else "archive"
    version = versions.get(bench.db, group.version_id)
    policy = bench.models.ready(project, config, slot, version)
    stored = candidate.trajectories
    drawn = int(torch.randint(stored.log_probs.shape[1], (1,), generator=generator))
    deviation = replay_deviation(policy, stored, slot, step=drawn)
    if deviation > tolerance(clip_range(config.clip_nats, stored.latents[0, 0].numel())):
        raise Unfaithful(f"It replays with |log ratio| {deviation:.2g}.")
    if group.version_id == update.parent_id:
        return 0.0
    return staleness(policy, stored, slot, step=drawn)


def _check_trainable(judged: Sequence[JudgedGroup], config: ProjectConfig) -> None:
    """Raises Refused for groups that give LOOP nothing to do."""
    if not any(bool((group.advantages != 0).any()) for group in judged):
        raise Refused("None of the groups gives a learning signal; rate a few more.", "no_signal")
    steps = config.passes * min(config.minibatches, len(judged))
    if steps < 2 and config.estimator not in SINGLE_STEP:
        raise Refused(
            f"One group in one pass makes a single optimizer step, too few for {config.estimator}. "
            "Rate another group, or set passes to 2.",
            "too_few_groups",
        )


def _judged_group(bench: Bench, group: Group, rows: Sequence[UpdateInput]) -> JudgedGroup:
    """Trajectories and advantages of one group; raises Unfaithful or NotFound for a bad file."""
    position = {image.id: image.position for image in groups.images(bench.db, group.id)}
    judgements: dict[tuple[str, str | None], list[UpdateInput]] = defaultdict(list)
    for row in rows:
        judgements[row.source, row.rater_id].append(row)
    advantages = torch.zeros(len(judgements), len(position), dtype=torch.float64)
    for j, judgement in enumerate(judgements.values()):
        for row in judgement:
            advantages[j, position[row.image_id]] = row.advantage
    with bench.files.open(group.trajectory_key or "") as file:
        trajectories = trajectory_file.unpack(file.read())
    members = torch.tensor([len(judgement) for judgement in judgements.values()])
    return JudgedGroup(group.id, trajectories, advantages, members.long())


@dataclass(frozen=True)
class Learner:
    """What moves in an update: the policy's learner, its optimizer and fp16's loss scale."""

    policy: StableDiffusionPolicy
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    kl_to_base: float  # nats per step, where it starts

    def checkpoint(self) -> Checkpoint:
        """All that the next update continues from."""
        adapters = self.policy.adapters
        return Checkpoint(
            adapter=adapters.state("learner"),
            shape=adapters.shapes["learner"],
            optimizer=lora_file.optimizer_state(self.optimizer, adapters.parameters("learner")),
            scaler=self.scaler.state_dict() if self.scaler else {},
        )


def _learner(
    bench: Bench, policy: StableDiffusionPolicy, config: ProjectConfig, parent: Version
) -> Learner:
    """AdamW that continues from the parent's moments, bit for bit."""
    policy.checkpoint_gradients(config.gradient_checkpointing)
    parameters = policy.adapters.parameters("learner")
    optimizer = torch.optim.AdamW(parameters.values(), lr=config.learning_rate, weight_decay=0.0)
    scaler = torch.amp.GradScaler(policy.device.type) if config.precision == "float16" else None
    checkpoint = bench.models.checkpoint(parent)
    if checkpoint is not None:
        lora_file.restore_optimizer(optimizer, parameters, checkpoint.optimizer)
        if scaler is not None and checkpoint.scaler:
            scaler.load_state_dict(checkpoint.scaler)
    return Learner(policy, optimizer, scaler, parent.metrics.get(KL_TO_BASE, 0.0))


def _train(
    bench: Bench,
    job: Job,
    learner: Learner,
    judged: Sequence[JudgedGroup],
    config: ProjectConfig,
    seed: int,
) -> tuple[dict[str, float], Curves]:
    """Drive the generator; returns the last optimizer step's metrics, KL to base, all curves.

    Asked to stop and keep, it leaves after the micro-batch: the learner is as its last optimizer
    step left it.
    """
    under_way = bench.under_way
    loop = loop_of(config, learner.kl_to_base)
    judged = step_weighted(learner.policy, judged, config)
    metrics: dict[str, float] = {}
    size = loop.micro_batch
    steps = train(learner.policy, learner.optimizer, judged, loop, seed=seed, scaler=learner.scaler)
    recorder = Recorder()
    for progress in steps:
        recorder.follow(progress)
        under_way.pace.see(progress.left, time.monotonic())
        if progress.metrics is not None:
            _count_optimizer_step(under_way, progress.metrics)
            metrics |= progress.metrics
        if progress.micro_batch < size:
            size = progress.micro_batch
            log.warning("memory ran out; going on with %d denoising steps per pass", size)
        asked = bench.between(job, "training", progress.step, progress.steps)
        if asked and under_way.figures.optimizer_steps:
            log.info("stopped on request after %d of %d steps", progress.step, progress.steps)
            break
    elements = judged[0].trajectories.latents[0, 0].numel()
    metrics["policy/kl_weight"] = loop.kl_weight
    metrics["policy/micro_batch"] = size
    metrics[KL_TO_BASE] = kl_to(learner.policy, judged, "base", size, seed)
    metrics["policy/clip_range"] = clip_range(config.clip_nats, elements)
    metrics["reward/advantage_spread"] = advantage_spread(judged)
    metrics["policy/optimizer_steps"] = under_way.figures.optimizer_steps
    metrics |= {f"{SPEED}{kind}": took for kind, took in under_way.pace.seconds().items()}
    if (speed := under_way.pace.samples_per_s()) is not None:
        metrics["time/samples_per_s"] = speed
    return metrics, recorder.curves()


def _count_optimizer_step(under_way: UnderWay, metrics: Mapping[str, float]) -> None:
    """One more, unless its gradient was not finite: then it told nothing and moved nothing."""
    if "policy/grad_norm" not in metrics:
        log.info("an optimizer step was skipped: its gradient was not finite")
        return
    made = under_way.figures.optimizer_steps + 1
    under_way.figures = replace(under_way.figures, optimizer_steps=made)
    log.info(
        "optimizer step %d: loss %.4g, gradient norm %.3g, clipped %.0f %%",
        made,
        metrics["policy/loss"],
        metrics["policy/grad_norm"],
        100 * metrics["policy/clip_fraction"],
    )


def _write(
    bench: Bench,
    project: Project,
    config: ProjectConfig,
    update: Update,
    checkpoint: Checkpoint,
) -> dict[str, StoredFile]:
    facts = {"loop.update": str(update.number), "loop.ratings": str(update.rating_count)}
    name = f"{project.name}-u{update.number}"
    return version_files.write(bench.files, checkpoint, config, name, facts)
