"""Orders, as a job `samples` that says so: one group of a chosen prompt by a chosen version."""

from __future__ import annotations

from loop_studio.jobs.bench import Bench
from loop_studio.jobs.rollout import Order, make_groups
from loop_studio.storage import groups, versions
from loop_studio.storage.schema import Job


def run(bench: Bench, job: Job) -> None:
    """Sample the group with the project's own settings, so that it can be replayed and taught."""
    assert job.project_id is not None
    version = versions.get(bench.db, job.payload["version_id"])
    order = Order(f"{job.id}/0", job.payload["prompt_id"], job, job.payload["seed"])
    [group] = make_groups(bench, job.project_id, [order], version)
    if rater := job.payload["rater"]:
        groups.bring_to(bench.db, group.id, rater)
