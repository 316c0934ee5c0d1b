"""Job `rollout`: one group of k images under the live version, with its trajectories."""

from __future__ import annotations

import time
from hashlib import sha256

from loop_studio.diffusion import trajectory_file
from loop_studio.jobs import pictures
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.models import drawn_steps_of, sampler_of
from loop_studio.storage import groups, projects, prompts, versions, workers
from loop_studio.storage.files import new_key
from loop_studio.storage.schema import Group, Job


def run(bench: Bench, job: Job) -> None:
    """Sample the group that the job asks for and record it; the job ends in the same breath."""
    make_group(bench, job, job.payload["prompt_id"], finish=True)


def make_group(bench: Bench, job: Job, prompt_id: str, *, number: int = 0, finish: bool) -> Group:
    """Sample one group and write its files and rows.

    Seeds come from the job's id and `number`, so a job that runs again makes the same pictures.
    """
    started = time.monotonic()
    assert job.project_id is not None
    project = projects.get(bench.db, job.project_id)
    config = projects.config(bench.db, project.id)
    live = versions.live(bench.db, project.id)
    prompt = prompts.get(bench.db, prompt_id)
    policy = bench.models.ready(project, config, "live", live)
    rollout = policy.rollout(
        prompt.text,
        seeds(job.id, number, config.group_size),
        sampler_of(config),
        drawn_steps=drawn_steps_of(config),
    )
    group = groups.record(
        bench.db,
        job=job if finish else None,
        project_id=project.id,
        prompt_id=prompt.id,
        version_id=live.id,
        revision_id=project.revision_id,
        images=pictures.store(
            bench.files, rollout.images, rollout.seeds, [prompt.text] * config.group_size
        ),
        trajectory=bench.files.put(
            new_key(".safetensors"), trajectory_file.pack(rollout.trajectories)
        ),
    )
    workers.set_rollout_seconds(bench.db, bench.worker_id, time.monotonic() - started)
    return group


def seeds(origin: str, number: int, count: int) -> list[int]:
    """`count` seeds below 2^31 that follow from `origin` and `number` alone."""
    digests = (sha256(f"{origin}/{number}/{i}".encode()).digest() for i in range(count))
    return [int.from_bytes(digest[:4], "big") >> 1 for digest in digests]
