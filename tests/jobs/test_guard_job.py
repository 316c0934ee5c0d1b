"""The guard at work: real updates of a real model, real pictures, real rewards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL.Image import Image

from loop_studio.config import ProjectConfig
from loop_studio.diffusion.recipe import sampler_of
from loop_studio.jobs import guard as job_guard
from loop_studio.jobs.pictures import opened
from loop_studio.rewards import catalogue
from loop_studio.rewards.catalogue import RewardEntry
from loop_studio.storage import curves, guard, projects, samples, updates, versions
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Update
from tests.jobs.conftest import Desk
from tests.jobs.test_update_job import checkpoint_of, interrupt_once, replay

STRICT = {"guard": True, "guard_kl": 1e-6}  # nats per step: whatever moves is beyond it
LOOSE = {
    "guard": True,
    "guard_broken": 1.0,
    "guard_diversity": 1.0,
    "guard_reward": 100.0,
    "guard_kl": 10_000.0,
}


def learn(desk: Desk, groups: int = 2, **settings: object) -> Update:
    """One update, as far as it comes, without the work that it leaves behind."""
    projects.change(desk.db, desk.project.id, settings=settings)
    desk.rate(groups)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    return updates.get(desk.db, update.id)


def test_a_version_within_the_limits_goes_live_with_its_figures(desk: Desk) -> None:
    update = learn(desk, **LOOSE)
    assert (update.status, update.made_live) == ("succeeded", True)
    base = guard.figures_of(versions.by_number(desk.db, desk.project.id, 0))
    made = guard.figures_of(versions.get(desk.db, update.version_id))
    assert base.pictures == made.pictures == 6  # three prompts with two seeds
    assert base.kl_to_base == 0 < made.kl_to_base
    assert set(base.rewards) == set(made.rewards) == {"clip_score"}
    assert guard.notice(desk.db, desk.project.id) is None


def test_a_version_beyond_a_limit_is_kept_and_not_live(desk: Desk) -> None:
    update = learn(desk, **STRICT)
    assert (update.status, update.made_live) == ("succeeded", False)
    version = versions.get(desk.db, update.version_id)
    assert checkpoint_of(desk, version.id).adapter
    assert versions.live(desk.db, desk.project.id).number == 0
    [sentence] = version.concerns
    assert "nats per step from the base model; the limit is 1e-06." in sentence
    notice = guard.notice(desk.db, desk.project.id)
    assert notice is not None
    assert all(cell.before and cell.after for cell in notice.pictures)


def test_the_guards_pictures_are_the_start_of_the_probe_wall(desk: Desk) -> None:
    """Nothing is drawn twice, and what stays after it goes live is what the guard saw."""
    update = learn(desk, **LOOSE)
    row, wall = samples.probe(desk.db, update.version_id)  # type: ignore[misc]
    version = versions.get(desk.db, update.version_id)
    desk.worker.bench.models.learner_moved()
    config = projects.config(desk.db, desk.project.id)
    policy = desk.worker.bench.models.ready(desk.project, config, "live", version)
    prompts, seeds = zip(*samples.cells(row), strict=True)
    drawn = policy.sample(prompts, seeds, sampler_of(config), "live")
    stored = [np.asarray(opened(desk.files, image.key)) for image in wall]
    assert np.array_equal(drawn, np.stack(stored))


def test_switched_off_it_neither_looks_nor_keeps_back(desk: Desk) -> None:
    update = learn(desk, **STRICT | {"guard": False})
    assert update.made_live
    assert "guard" not in versions.get(desk.db, update.version_id).metrics


def test_stopped_while_it_looks_the_update_ends_in_the_same_weights_and_words(desk: Desk) -> None:
    left = interrupt_once(desk.worker.bench, at_step=0, phase=job_guard.PHASE)
    update = learn(desk, **STRICT)
    assert left == [False]
    assert (update.status, update.made_live) == ("succeeded", False)
    assert len(versions.list(desk.db, desk.project.id)) == 2
    kept = checkpoint_of(desk, update.version_id or "").adapter
    again = replay(desk, update.id)
    assert all(torch.equal(kept[name], again[name]) for name in again)


def test_a_reward_that_fails_does_not_fail_the_update(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(images: list[Image], prompts: list[str]) -> list[float]:
        if len(images) == 6:  # the guard's pictures, not a group's
            raise RuntimeError("no memory for it")
        return [float(place) for place in range(len(images))]

    register(monkeypatch, "brittle", fails)
    projects.set_reward(desk.db, desk.project.id, RewardWeights(1.0, {"brittle": 1.0}))
    update = learn(desk, **LOOSE)
    assert update.made_live
    made = guard.figures_of(versions.get(desk.db, update.version_id))
    assert set(made.rewards) == {"clip_score"}


def test_an_update_leaves_its_curves(desk: Desk) -> None:
    update = learn(desk, 3, **LOOSE)
    steps, denoising = curves.of_update(desk.db, update.id, 100)
    found = {curve.name: [point.mean for point in curve.points] for curve in steps}
    config = ProjectConfig()
    assert {len(values) for values in found.values()} == {config.passes * config.minibatches}
    assert found["step/policy/grad_norm"][-1] == pytest.approx(
        update.metrics["policy/grad_norm"], rel=1e-5
    )
    assert 0 < found["step/policy/effective_sample_size"][-1] <= 1
    assert all(speed > 0 for speed in found["step/time/samples_per_s"])
    assert {curve.name: len(curve.points) for curve in denoising} == {
        "timestep/log_ratio_nats": 4,  # six steps, the noisiest 60 % are trained
        "timestep/kl_to_base": 4,
    }
    assert update.metrics["reward/advantage_spread"] > 0


@pytest.mark.parametrize("on_hacking", ["warn", "return"])
def test_a_hackable_reward_raises_the_alarm(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, on_hacking: str
) -> None:
    """Flattery is pleased more at every look, while the model runs away from its base."""
    looks = count(0.0)

    def flattery(images: list[Image], prompts: list[str]) -> list[float]:
        return [next(looks) for _ in images]

    register(monkeypatch, "flattery", flattery)
    projects.set_reward(desk.db, desk.project.id, RewardWeights(1.0, {"flattery": 1.0}))
    limits = LOOSE | {"guard_kl": 100.0, "hacking_fall": 0.01, "on_hacking": on_hacking}
    update = learn(desk, **limits)
    version = versions.get(desk.db, update.version_id)
    [sentence] = version.concerns
    assert "Since version 0 the training reward (flattery) rose by" in sentence
    assert "the distance from the base model grew by" in sentence
    warned = on_hacking == "warn"
    assert update.made_live == warned
    assert versions.live(desk.db, desk.project.id).number == (1 if warned else 0)
    notice = guard.notice(desk.db, desk.project.id)
    assert notice is not None
    assert (notice.is_live, notice.other.number) == (warned, 0)
    # by itself nothing is learned from the same reward again, unless it was a warning alone
    projects.change(desk.db, desk.project.id, settings={"auto_update_groups": 2})
    desk.rate(2)
    assert len(updates.list(desk.db, desk.project.id)) == (2 if warned else 1)


def register(monkeypatch: pytest.MonkeyPatch, name: str, score: Callable[..., list[float]]) -> None:
    """A reward model at the real seam: an entry of the catalogue and a module that builds it."""
    made = ModuleType(f"tests.{name}")
    made.build = lambda *_: SimpleNamespace(version="1", score=score)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, made.__name__, made)
    words = ("For a test", "any", 1.0, "none", "none", "none")
    entry = RewardEntry(name, name, *words, module=made.__name__)
    monkeypatch.setattr(catalogue, "CATALOGUE", (*catalogue.CATALOGUE, entry))


def test_a_parent_that_was_never_looked_at_is_looked_at_first(desk: Desk) -> None:
    """The guard was off: what is wrong with the parent is not held against its child."""
    learn(desk, guard=False)
    update = learn(desk, **STRICT)
    parent = versions.get(desk.db, update.parent_id)
    assert guard.figures_of(parent).pictures == 6
    made = guard.figures_of(versions.get(desk.db, update.version_id))
    assert update.made_live == (made.kl_to_base <= guard.figures_of(parent).kl_to_base)
