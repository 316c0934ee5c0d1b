"""A trial, as a job `score` that names images: each reward says what it gives them, or why not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PIL.Image import Image

from loop_studio.jobs.bench import Bench
from loop_studio.jobs.pictures import opened
from loop_studio.jobs.sources import source_of
from loop_studio.rewards.model import CANNOT_SCORE
from loop_studio.storage import jobs, trials
from loop_studio.storage.schema import Job


def run(bench: Bench, job: Job) -> None:
    """Ask one reward after the other; one that fails keeps no other from answering."""
    images = [opened(bench.files, image["key"]) for image in job.payload["images"]]
    prompts = [image["prompt"] for image in job.payload["images"]]
    models: dict[str, dict[str, str]] = job.payload["models"]
    for step, (name, values) in enumerate(models.items()):
        report = partial(bench.between, job, "scoring", step, len(models))
        report()
        result = _result(bench, job, (name, values), images, prompts, report)
        trials.record(bench.db, job, name, result)
    bench.between(job, "scoring", len(models), len(models))
    jobs.finish(bench.db, job, "succeeded")


def _result(
    bench: Bench,
    job: Job,
    reward: tuple[str, dict[str, str]],
    images: list[Image],
    prompts: list[str],
    report: Callable[[], object],
) -> dict[str, Any]:
    try:
        source = source_of(bench, job.project_id or "", *reward)
        values = source.score(bench, images, prompts, report)
        version = source.version(bench)
    except CANNOT_SCORE as error:
        return {"scores": None, "version": None, "error": error.detail}
    return {"scores": values, "version": version, "error": None}
