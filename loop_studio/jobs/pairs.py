"""Blind pairs, as a job `samples` that names an opponent: two pictures, and no trajectories."""

from __future__ import annotations

import numpy as np

from loop_studio.diffusion.recipe import sampler_of
from loop_studio.jobs import content, pictures
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.rollout import seeds
from loop_studio.rl.types import Weights
from loop_studio.storage import groups, projects, prompts, versions
from loop_studio.storage.schema import Job


def run(bench: Bench, job: Job) -> None:
    """Render one prompt with one seed under two versions; the job ends with the pair."""
    assert job.project_id is not None
    project = projects.get(bench.db, job.project_id)
    config = projects.config(bench.db, project.id)
    prompt = prompts.get(bench.db, job.payload["prompt_id"])
    seed = seeds(job.id, 1)
    rendered = []
    for version_id in (job.payload["version_id"], job.payload["opponent_id"]):
        slot: Weights = "live" if version_id == project.live_version_id else "archive"
        version = versions.get(bench.db, version_id)
        policy = bench.models.ready(project, config, slot, version)
        rendered.append(policy.sample([prompt.text], seed, sampler_of(config), slot))
    drawn = np.concatenate(rendered)
    verdicts = content.verdicts(bench, project, drawn)
    groups.record(
        bench.db,
        job=job,
        project_id=project.id,
        prompt_id=prompt.id,
        version_id=job.payload["version_id"],
        opponent_id=job.payload["opponent_id"],
        revision_id=project.revision_id,
        images=pictures.store(bench.files, drawn, seed * 2, [prompt.text] * 2, verdicts),
        trajectory=None,
    )
