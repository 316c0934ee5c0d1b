"""Job `samples`: pictures for looking and measuring, and the probe wall of each version."""

from __future__ import annotations

import logging

import numpy as np

from loop_studio import pixels
from loop_studio.diffusion.recipe import sampler_of
from loop_studio.jobs import content, orders, pairs, pictures
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.score import score_images
from loop_studio.jobs.sources import Source
from loop_studio.rewards.model import CANNOT_SCORE
from loop_studio.rl.types import Weights
from loop_studio.shares import Mean
from loop_studio.storage import jobs, projects, samples, versions
from loop_studio.storage.schema import Job, Samples

log = logging.getLogger(__name__)

CLIP_SCORE = "clip_score"
CHUNK = 8  # pictures per UNet call: quick enough to let raters in between


def run(bench: Bench, job: Job) -> None:
    """Render every prompt with every seed under one version."""
    if "opponent_id" in job.payload:
        return pairs.run(bench, job)
    if "order" in job.payload:
        return orders.run(bench, job)
    complete(bench, job, job.payload["samples_id"])
    jobs.finish(bench.db, job, "succeeded")


def complete(bench: Bench, job: Job, samples_id: str) -> None:
    """Render what is missing of some samples, and measure a probe wall, as part of `job`.

    With the settings of the time when they were asked for, so that probe walls stay comparable.
    """
    wanted, present = samples.get(bench.db, samples_id)
    project = projects.get(bench.db, wanted.project_id)
    revision = projects.revision(bench.db, wanted.revision_id)
    config, weight = samples.split_weight(revision.config, wanted.settings)
    version = versions.get(bench.db, wanted.version_id)
    cells = samples.cells(wanted)
    live = version.id == project.live_version_id and weight == 1
    slot: Weights = "live" if live else "archive"
    for first in range(len(present), len(cells), CHUNK):
        bench.between(job, "sampling", first, len(cells))
        prompts, seeds = zip(*cells[first : first + CHUNK], strict=True)
        policy = bench.models.ready(project, config, slot, version, weight)
        rendered = policy.sample(prompts, seeds, sampler_of(config), slot)
        verdicts = content.verdicts(bench, project, rendered)
        images = pictures.store(bench.files, rendered, seeds, prompts, verdicts, first)
        samples.add_images(bench.db, wanted.id, images)
    if wanted.kind == "probe":
        measure(bench, wanted)


def measure(bench: Bench, probe: Samples) -> None:
    """What the probe wall looks like, and its mean score by each reward of the project.

    The CLIP score is measured always; what compares the pictures of a group cannot be. A reward
    that fails is left out: the pictures are there all the same.
    """
    _, images = samples.get(bench.db, probe.id)
    reward = projects.reward(bench.db, probe.project_id)
    wanted = {CLIP_SCORE: reward.parameters.get(CLIP_SCORE, {}), **reward.sources()}
    sources = [Source(name, values) for name, values in wanted.items()]
    metrics = {}
    for source in sources:
        if source.entry.groupwise:
            continue
        try:
            mean = Mean.of(list(score_images(bench, source, images).values()))
        except CANNOT_SCORE as error:
            log.warning("the probe wall goes without %s: %s", source.name, error.detail)
            continue
        low, high = mean.interval() or (mean.value, mean.value)
        metrics[source.name] = {"mean": mean.value, "low": low, "high": high, "n": mean.n}
    drawn = np.stack([np.asarray(pictures.opened(bench.files, image.key)) for image in images])
    looks = {
        "broken": float(pixels.broken(drawn).mean()),
        "diversity": pixels.diversity(drawn, [image.prompt for image in images]),
    }
    versions.set_metrics(bench.db, probe.version_id, {"probe": metrics, "looks": looks})
