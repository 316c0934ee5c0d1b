"""Job `update`: from claimed groups to a published version. The main path of learning.

Killed at any point, the job is claimed again and starts over from its recorded inputs and its
recorded seed, so it ends in the same weights.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from loop_studio.config import ProjectConfig
from loop_studio.diffusion import lora_file, trajectory_file
from loop_studio.diffusion.lora_file import Checkpoint
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.errors import Refused, Unfaithful
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.inputs import claim_inputs
from loop_studio.rl.fidelity import replay_deviation, tolerance
from loop_studio.rl.objective import clip_range
from loop_studio.rl.types import JudgedGroup, Weights
from loop_studio.rl.update import LoopConfig, kl_to_base, train
from loop_studio.storage import groups, projects, samples, updates, versions
from loop_studio.storage.files import StoredFile, new_key
from loop_studio.storage.schema import Group, Job, Project, Update, UpdateInput, Version

log = logging.getLogger(__name__)

UNFAITHFUL_SHARE = 0.1  # more excluded groups than this and the update is refused


def run(bench: Bench, job: Job) -> None:
    """Claim inputs, check that they replay, train, publish."""
    assert job.update_id is not None
    update = updates.start(bench.db, job.update_id, job)
    project = projects.get(bench.db, update.project_id)
    config = projects.revision(bench.db, update.revision_id).config
    parent = versions.get(bench.db, update.parent_id)
    claimed, inputs = claim_inputs(bench, job, update)
    policy = bench.models.ready(project, config, "learner", parent)
    bench.models.learner_moved()
    judged = _faithful(bench, job, update, project, config, _judged(bench, claimed, inputs))
    learner = _learner(bench, policy, config, parent)
    metrics = _train(bench, job, learner, judged, config, update.seed)
    files = _write(bench, project, update, learner.checkpoint())
    version = updates.publish(bench.db, job, update.id, files, metrics)
    if updates.get(bench.db, update.id).made_live:
        bench.models.publish(policy, version, config)
    samples.create_probe(bench.db, version.id)


def _judged(
    bench: Bench, claimed: Sequence[Group], inputs: Sequence[UpdateInput]
) -> list[tuple[Group, JudgedGroup]]:
    """Trajectories and the matrix of advantages of every claimed group, silent ones too."""
    rows: dict[str, list[UpdateInput]] = defaultdict(list)
    for row in inputs:
        rows[row.group_id].append(row)
    return [(group, _judged_group(bench, group, rows[group.id])) for group in claimed]


def _judged_group(bench: Bench, group: Group, rows: Sequence[UpdateInput]) -> JudgedGroup:
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


def _faithful(
    bench: Bench,
    job: Job,
    update: Update,
    project: Project,
    config: ProjectConfig,
    judged: Sequence[tuple[Group, JudgedGroup]],
) -> list[JudgedGroup]:
    """Replay one random stored step of each group under its own version; keep those that agree.

    Groups come sorted by version, so each older version is loaded once.
    Raises Unfaithful when more than a tenth do not replay.
    """
    generator = torch.Generator().manual_seed(update.seed)
    kept, lost = [], []
    live_id = project.live_version_id
    for step, (group, candidate) in enumerate(sorted(judged, key=lambda pair: pair[0].version_id)):
        bench.between(job, "checking", step, len(judged))
        slot: Weights = "live" if group.version_id == live_id else "archive"
        version = versions.get(bench.db, group.version_id)
        policy = bench.models.ready(project, config, slot, version)
        stored = candidate.trajectories
        drawn = int(torch.randint(stored.log_probs.shape[1], (1,), generator=generator))
        deviation = replay_deviation(policy, stored, slot, step=drawn)
        allowed = tolerance(clip_range(config.clip_nats, stored.latents[0, 0].numel()))
        if deviation <= allowed:
            kept.append(candidate)
        else:
            log.warning("group %s replays with |log ratio| %.2g: excluded", group.id, deviation)
            lost.append(group.id)
    if len(lost) > UNFAITHFUL_SHARE * len(judged):
        raise Unfaithful(
            f"{len(lost)} of {len(judged)} groups do not replay to the log_prob they were stored "
            "with, so nothing was trained. Were the model's files or the device changed? "
            f"First of them: group {lost[0]}."
        )
    if not any(bool((group.advantages != 0).any()) for group in kept):
        raise Refused("None of the groups gives a learning signal; rate a few more.", "no_signal")
    if config.passes * min(config.minibatches, len(kept)) < 2:
        raise Refused(
            "One group in one pass makes a single optimizer step, which is RLOO, not LOOP. "
            "Rate another group, or set passes to 2.",
            "too_few_groups",
        )
    return kept


@dataclass(frozen=True)
class Learner:
    """What moves in an update: the policy's learner, its optimizer and fp16's loss scale."""

    policy: StableDiffusionPolicy
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None

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
    parameters = policy.adapters.parameters("learner")
    optimizer = torch.optim.AdamW(parameters.values(), lr=config.learning_rate, weight_decay=0.0)
    scaler = torch.amp.GradScaler(policy.device.type) if config.precision == "float16" else None
    checkpoint = bench.models.checkpoint(parent)
    if checkpoint is not None:
        lora_file.restore_optimizer(optimizer, parameters, checkpoint.optimizer)
        if scaler is not None and checkpoint.scaler:
            scaler.load_state_dict(checkpoint.scaler)
    return Learner(policy, optimizer, scaler)


def _train(
    bench: Bench,
    job: Job,
    learner: Learner,
    judged: Sequence[JudgedGroup],
    config: ProjectConfig,
    seed: int,
) -> dict[str, float]:
    """Drive the generator; returns the metrics of the last optimizer step, and KL to base."""
    loop = LoopConfig(
        passes=config.passes,
        minibatches=config.minibatches,
        clip_nats=config.clip_nats,
        kl_weight=config.kl_weight,
        max_grad_norm=config.max_grad_norm,
        micro_batch=config.micro_batch,
    )
    metrics: dict[str, float] = {}
    steps = train(learner.policy, learner.optimizer, judged, loop, seed=seed, scaler=learner.scaler)
    for progress in steps:
        metrics |= progress.metrics or {}
        bench.between(job, "training", progress.step, progress.steps)
    elements = judged[0].trajectories.latents[0, 0].numel()
    metrics["policy/kl_to_base"] = kl_to_base(learner.policy, judged, config.micro_batch, seed)
    metrics["policy/clip_range"] = clip_range(config.clip_nats, elements)
    return metrics


def _write(
    bench: Bench, project: Project, update: Update, checkpoint: Checkpoint
) -> dict[str, StoredFile]:
    """Every file that this version will ever be asked for."""
    name = f"{project.name}-u{update.number}"
    facts = {"loop.update": str(update.number), "loop.ratings": str(update.rating_count)}
    contents = {
        "resume": lora_file.pack_checkpoint(checkpoint),
        "diffusers": lora_file.diffusers_lora(checkpoint),
        "kohya": lora_file.kohya_lora(checkpoint, name=name, facts=facts),
    }
    return {kind: bench.files.put(new_key(".safetensors"), data) for kind, data in contents.items()}
