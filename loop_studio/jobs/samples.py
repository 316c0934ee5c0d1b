"""Job `samples`: pictures for looking and measuring, and the probe wall of each version."""

from __future__ import annotations

from itertools import product
from statistics import fmean, stdev

from loop_studio.diffusion.recipe import sampler_of
from loop_studio.jobs import pairs, pictures
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.score import score_images
from loop_studio.rewards.catalogue import CATALOGUE
from loop_studio.rl.types import Weights
from loop_studio.storage import jobs, projects, samples, versions
from loop_studio.storage.schema import Job, Samples

CHUNK = 8  # pictures per UNet call: quick enough to let raters in between


def run(bench: Bench, job: Job) -> None:
    """Render every prompt with every seed under one version; what is already there stays.

    With the settings of the time when they were asked for, so that probe walls stay comparable.
    """
    if "opponent_id" in job.payload:
        return pairs.run(bench, job)
    wanted, present = samples.get(bench.db, job.payload["samples_id"])
    project = projects.get(bench.db, wanted.project_id)
    config = projects.revision(bench.db, wanted.revision_id).config.merged(wanted.settings)
    version = versions.get(bench.db, wanted.version_id)
    cells = list(product(wanted.prompts, wanted.seeds["seeds"]))
    live = version.id == project.live_version_id
    slot: Weights = "live" if live else "archive"
    for first in range(len(present), len(cells), CHUNK):
        bench.between(job, "sampling", first, len(cells))
        prompts, seeds = zip(*cells[first : first + CHUNK], strict=True)
        policy = bench.models.ready(project, config, slot, version)
        rendered = policy.sample(prompts, seeds, sampler_of(config), slot)
        samples.add_images(
            bench.db, wanted.id, pictures.store(bench.files, rendered, seeds, prompts, first)
        )
    if wanted.kind == "probe":
        measure(bench, wanted)
    jobs.finish(bench.db, job, "succeeded")


def measure(bench: Bench, probe: Samples) -> None:
    """Mean score of the probe wall by every automatic reward at hand, with a 95 % interval."""
    _, images = samples.get(bench.db, probe.id)
    metrics = {}
    for known in CATALOGUE:
        if known.unavailable():
            continue
        values = list(score_images(bench, known.name, images).values())
        mean, half = fmean(values), 1.96 * stdev(values) / len(values) ** 0.5
        metrics[known.name] = {
            "mean": mean,
            "low": mean - half,
            "high": mean + half,
            "n": len(values),
        }
    versions.set_metrics(bench.db, probe.version_id, {"probe": metrics})
