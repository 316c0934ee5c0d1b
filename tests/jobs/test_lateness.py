"""Groups that an older version made still teach, and the update says how late they were."""

from __future__ import annotations

import pytest
import torch

from loop_studio.diffusion import trajectory_file
from loop_studio.rl.gaussian import kl_divergence
from loop_studio.rl.types import Transitions
from loop_studio.storage import groups, projects, ratings, updates, versions
from loop_studio.storage.ratings import RatingIn
from tests.jobs.conftest import Desk


def kl_by_step(desk: Desk, group_id: str) -> list[float]:
    """KL from the base to version 1 at every stored step of a group, mean over its images."""
    config = projects.config(desk.db, desk.project.id)
    first = versions.by_number(desk.db, desk.project.id, 1)
    policy = desk.worker.bench.models.ready(desk.project, config, "archive", first)
    with desk.files.open(groups.get(desk.db, group_id).trajectory_key) as file:
        stored = trajectory_file.unpack(file.read())
    found = []
    for step, timestep in enumerate(stored.timesteps):
        latents, k = stored.latents[:, step], stored.group_size
        here = Transitions((stored.prompt,) * k, stored.sampler, latents, timestep.expand(k))
        with torch.no_grad():
            base, std = policy.transition(here, "base")
            moved, _ = policy.transition(here, "archive")
        found.append(kl_divergence(base, moved, std).mean().item())
    return found


def test_a_late_group_teaches_and_its_update_says_how_late_it_was(desk: Desk) -> None:
    desk.rate(2)
    held = groups.next_for(desk.db, desk.project.id, "ben", [])
    first = updates.create(desk.db, desk.project.id)
    desk.work()
    judgement = {image.id: float(place == 0) for place, image in enumerate(held.images)}
    ratings.record(desk.db, RatingIn("late", held.id, "ben", "best", judgement))
    desk.rate(1)
    second = updates.create(desk.db, desk.project.id)
    desk.work()
    assert updates.get(desk.db, second.id).status == "succeeded"
    assert {row.group_id: row.lag for row in updates.inputs(desk.db, second.id)}[held.id] == 1
    found = updates.lateness(desk.db, [first.id, second.id])
    assert list(found) == [second.id]  # the first was on time
    late = found[second.id]
    assert (late.groups, late.lag) == (1, 1)
    distances = kl_by_step(desk, held.id)
    assert min(distances) > 0
    assert any(late.staleness == pytest.approx(one, rel=1e-4) for one in distances)
