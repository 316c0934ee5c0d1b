"""Job `check_model`: could a group be made? The worker keeps the sentence of a failure."""

from __future__ import annotations

from loop_studio.diffusion.recipe import sampler_of
from loop_studio.jobs.bench import Bench
from loop_studio.storage import jobs, projects, versions
from loop_studio.storage.schema import Job


def run(bench: Bench, job: Job) -> None:
    """Load the model with the live version, and look for steps noisy enough to learn from."""
    assert job.project_id is not None
    project = projects.get(bench.db, job.project_id)
    config = projects.config(bench.db, project.id)
    live = versions.live(bench.db, project.id)
    policy = bench.models.ready(project, config, "live", live)
    policy.trainable_steps(sampler_of(config))
    bench.models.safety_checker(project, config)
    projects.set_generation_error(bench.db, project.id, None)
    jobs.finish(bench.db, job, "succeeded")
