"""Job `rollout`: a group of k images under the live version, with its trajectories.

Where several such jobs wait and no rater does, they are run together, in the same UNet calls.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from loop_studio.diffusion import trajectory_file
from loop_studio.diffusion.recipe import sample_groups
from loop_studio.jobs import content, learned, pictures
from loop_studio.jobs.bench import Bench
from loop_studio.rl.types import Weights
from loop_studio.storage import groups, projects, prompts, versions, workers
from loop_studio.storage.files import new_key
from loop_studio.storage.schema import Group, Job, Version


@dataclass(frozen=True)
class Order:
    """A group to be made. Its seeds follow from `origin`: made again, it shows the same."""

    origin: str
    prompt_id: str
    job: Job | None = None  # ends as the group is recorded
    seed: int | None = None  # of the first picture, where someone has chosen it

    def seeds(self, count: int) -> list[int]:
        """One seed per picture."""
        derived = seeds(self.origin, count)
        return derived if self.seed is None else [self.seed, *derived[1:]]


def run(bench: Bench, *claimed: Job) -> None:
    """Make the groups that jobs of one project ask for; each job ends with its group."""
    project_id = claimed[0].project_id
    assert project_id is not None
    orders = [Order(f"{job.id}/0", job.payload["prompt_id"], job) for job in claimed]
    make_groups(bench, project_id, orders)


def make_groups(
    bench: Bench, project_id: str, orders: Sequence[Order], version: Version | None = None
) -> list[Group]:
    """Sample groups in the same UNet calls, and write the files and rows of each.

    Under the live version unless another one is named.
    """
    started = time.monotonic()
    project = projects.get(bench.db, project_id)
    config = projects.config(bench.db, project.id)
    made_by = version or versions.live(bench.db, project.id)
    slot: Weights = "live" if made_by.id == project.live_version_id else "archive"
    texts = [prompts.get(bench.db, order.prompt_id).text for order in orders]
    policy = bench.models.ready(project, config, slot, made_by)
    own_seeds = [order.seeds(config.group_size) for order in orders]
    made = sample_groups(policy, texts, own_seeds, config, slot)
    recorded = [
        groups.record(
            bench.db,
            job=order.job,
            project_id=project.id,
            prompt_id=order.prompt_id,
            version_id=made_by.id,
            revision_id=project.revision_id,
            images=pictures.store(
                bench.files,
                rollout.images,
                rollout.seeds,
                [text] * config.group_size,
                content.verdicts(bench, project, rollout.images),
            ),
            trajectory=bench.files.put(
                new_key(".safetensors"), trajectory_file.pack(rollout.trajectories)
            ),
        )
        for order, text, rollout in zip(orders, texts, made, strict=True)
    ]
    learned.appraise(bench, project.id, [group.id for group in recorded])
    elapsed = time.monotonic() - started
    workers.set_rollout_seconds(bench.db, bench.worker_id, elapsed / len(orders))
    return recorded


def seeds(origin: str, count: int) -> list[int]:
    """`count` seeds below 2^31 that follow from `origin` alone."""
    digests = (sha256(f"{origin}/{i}".encode()).digest() for i in range(count))
    return [int.from_bytes(digest[:4], "big") >> 1 for digest in digests]
