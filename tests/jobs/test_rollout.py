"""Groups made ahead of the raters: several in the same passes, each with its own job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import select, update

from loop_studio.config import ProjectConfig
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.diffusion.recipe import drawn_steps_of, groups_per_pass, sampler_of
from loop_studio.errors import RewardFailed
from loop_studio.jobs import rollout
from loop_studio.jobs.score import score_images
from loop_studio.jobs.sources import Source
from loop_studio.rewards.pixels import Pixels
from loop_studio.rl.fidelity import replay_deviation
from loop_studio.rl.types import Sampler
from loop_studio.storage import groups, jobs, projects, scores, status, updates
from loop_studio.storage.schema import Job
from tests import tiny
from tests.diffusion.judging import one_group
from tests.jobs.conftest import Desk


def states(desk: Desk) -> dict[str, int]:
    with desk.db.read() as session:
        found = list(session.scalars(select(Job.state).where(Job.kind == "rollout")))
    return {state: found.count(state) for state in set(found)}


def test_a_group_made_in_company_is_the_one_made_alone() -> None:
    policy = tiny.policy()
    sampler = Sampler(6, 3.0, 1.0, lora_steps=4)
    seeds = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    prompts = ["a cat", "a dog", "a cat"]
    together = policy.rollouts(prompts, seeds, sampler, drawn_steps=2)
    for prompt, own, made in zip(prompts, seeds, together, strict=True):
        alone = one_group(policy, prompt, own, sampler, drawn_steps=2)
        stored, expected = made.trajectories, alone.trajectories
        assert made.seeds == alone.seeds
        assert (stored.prompt, stored.sampler) == (expected.prompt, expected.sampler)
        assert (stored.trained == expected.trained).all()
        assert stored.latents.shape == expected.latents.shape
        assert (stored.latents - expected.latents).abs().max() < 1e-4
        assert np.abs(made.images.astype(int) - alone.images).max() <= 1
        for step in range(stored.log_probs.shape[1]):
            assert replay_deviation(policy, stored, "live", step=step) < 1e-6


@pytest.mark.parametrize(
    ("kind", "fraction", "lora_steps", "drawn", "trained"),
    [
        ("high_noise", 0.5, 10, None, 10),
        ("high_noise", 1.0, 20, None, 18),  # never beyond the noise floor
        ("high_noise", 0.001, 1, None, 1),
        ("all", 0.5, None, None, 18),
        ("random", 0.5, None, 10, 10),
    ],
)
def test_the_settings_say_which_steps_are_trained_and_where_the_lora_acts(
    kind: str, fraction: float, lora_steps: int | None, drawn: int | None, trained: int
) -> None:
    values = {"num_inference_steps": 20, "trained_steps": kind, "trained_fraction": fraction}
    config = ProjectConfig.from_values(values)
    sampler = sampler_of(config)
    assert (sampler.lora_steps, drawn_steps_of(config)) == (lora_steps, drawn)
    made = one_group(tiny.policy(), "a cat", [1, 2, 3], sampler, drawn_steps=drawn)
    mask = made.trajectories.trained
    assert mask.sum(1).tolist() == [trained] * 3
    if kind != "random":
        assert mask[:, :trained].all()


def test_the_buffer_fills_in_few_passes_once_no_rater_can_be_waiting(desk: Desk) -> None:
    projects.change(desk.db, desk.project.id, settings={"buffer_groups": 10, "micro_batch": 6})
    assert jobs.refill(desk.db, desk.project.id) == 10
    assert desk.work() == 2 + 3  # two alone, then three times up to three
    assert states(desk) == {"succeeded": 10}
    assert status.ready_groups(desk.db, desk.project.id) == 10
    desk.rate(4)
    made = updates.create(desk.db, desk.project.id)
    desk.work()
    assert updates.get(desk.db, made.id).status == "succeeded"


def test_a_job_that_another_worker_took_leaves_its_companions_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects.change(desk.db, desk.project.id, settings={"buffer_groups": 5})
    jobs.refill(desk.db, desk.project.id)
    assert desk.worker.run_next()
    assert desk.worker.run_next()
    record, taken = groups.record, []

    def taken_over(*args: object, job: Job, **more: object) -> object:
        if not taken:
            taken.append(job.id)
            with desk.db.write() as session:
                session.execute(update(Job).where(Job.id == job.id).values(worker_id="another"))
        return record(*args, job=job, **more)

    monkeypatch.setattr(rollout.groups, "record", taken_over)
    assert desk.worker.run_next()
    assert states(desk) == {"succeeded": 2, "running": 1, "queued": 2}
    assert desk.worker.run_next()
    assert states(desk) == {"succeeded": 4, "running": 1}


def test_a_failure_ends_all_jobs_of_the_pass_and_pauses_the_project(
    desk: Desk, tmp_path: Path
) -> None:
    projects.change(desk.db, desk.project.id, settings={"buffer_groups": 5})
    jobs.refill(desk.db, desk.project.id)
    assert desk.worker.run_next()
    assert desk.worker.run_next()
    desk.files.root.rename(tmp_path / "moved")
    desk.files.root.write_text("A file where the folder of all files was.")
    assert desk.worker.run_next()
    assert states(desk) == {"succeeded": 2, "failed": 3}
    assert projects.get(desk.db, desk.project.id).generation_error


def test_where_memory_runs_out_groups_are_made_in_smaller_passes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled = StableDiffusionPolicy.rollouts
    passes: list[int] = []

    def cramped(self: StableDiffusionPolicy, prompts: list[str], *rest: Any, **options: Any) -> Any:
        if len(prompts) > 1:
            raise torch.OutOfMemoryError("injected")
        passes.append(len(prompts))
        return sampled(self, prompts, *rest, **options)

    monkeypatch.setattr(StableDiffusionPolicy, "rollouts", cramped)
    projects.change(desk.db, desk.project.id, settings={"buffer_groups": 6})
    jobs.refill(desk.db, desk.project.id)
    desk.work()
    assert passes == [1] * 6
    assert states(desk) == {"succeeded": 6}


def test_in_half_precision_groups_are_made_alone() -> None:
    """There a replay in another batch shape strays further than a group may."""
    config = ProjectConfig()
    assert groups_per_pass(config) == 8
    assert groups_per_pass(config.merged({"precision": "bfloat16"})) == 1


def test_a_score_that_is_no_number_is_refused_and_not_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Pixels, images: list[Any], prompts: list[str]) -> list[float]:
        return [float("nan")] * len(images)

    (group_id,) = desk.rate(1)
    images = groups.images(desk.db, group_id)
    monkeypatch.setattr(Pixels, "score", broken)
    with pytest.raises(RewardFailed, match="gave a score that is no number"):
        score_images(desk.worker.bench, Source("brightness"), images)
    assert scores.of_images(desk.db, [image.id for image in images], "brightness", "1") == {}


def test_a_model_that_cannot_fit_is_not_loaded_and_the_project_says_why(
    desk: Desk, tmp_path: Path
) -> None:
    folder = tiny.save_folder(tmp_path / "huge")
    file = folder / "unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sample_size": 65536}))
    project = projects.create(desk.db, "Huge", str(folder), [("a cat", [])], {})
    jobs.enqueue(desk.db, "check_model", project.id)
    desk.work()
    told = projects.get(desk.db, project.id).generation_error or ""
    assert "GB of memory with these settings" in told
    assert told.endswith("No setting would make it fit: free memory, or choose a smaller model.")
