"""The main path of learning, with the real worker, engine, database and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from loop_studio.diffusion import trajectory_file
from loop_studio.diffusion.lora_file import unpack_checkpoint
from loop_studio.jobs import update as job_update
from loop_studio.jobs.bench import Bench, Cancelled, Stopping
from loop_studio.rewards.clip_score import ClipScore
from loop_studio.storage import groups, jobs, projects, samples, status, updates, versions
from loop_studio.storage.forecast import forecast, past_speeds
from loop_studio.storage.schema import Job
from tests import tiny
from tests.jobs.conftest import SETTINGS, Desk


def checkpoint_of(desk: Desk, version_id: str):
    stored = versions.file(desk.db, version_id, "resume")
    with desk.files.open(stored.key) as file:
        return unpack_checkpoint(file.read())


def test_an_update_publishes_a_live_version_with_every_file(desk: Desk) -> None:
    judged = desk.rate(3)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    update = updates.get(desk.db, update.id)
    assert (update.status, update.made_live, update.group_count) == ("succeeded", True, 3)
    version = versions.get(desk.db, update.version_id)
    assert version.number == 1
    assert versions.live(desk.db, desk.project.id).id == version.id
    for kind in ("resume", "diffusers", "kohya"):
        stored = versions.file(desk.db, version.id, kind)
        assert desk.files.path(stored.key).stat().st_size == stored.size
    assert any(
        t.abs().max() > 0
        for n, t in checkpoint_of(desk, version.id).adapter.items()
        if "lora_B" in n
    )
    assert {row.group_id for row in updates.inputs(desk.db, update.id)} == set(judged)


def test_the_next_group_is_made_by_the_new_version(desk: Desk) -> None:
    desk.rate(2)
    updates.create(desk.db, desk.project.id)
    desk.work()
    shown = groups.next_for(desk.db, desk.project.id, "ann", [])
    desk.work()
    shown = groups.next_for(desk.db, desk.project.id, "ben", [])
    assert shown is not None
    assert shown.version == 1


def test_inputs_say_exactly_what_was_used(desk: Desk) -> None:
    judged = desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    rows = updates.inputs(desk.db, update.id)
    assert len(rows) == 2 * SETTINGS["group_size"]
    for group_id in judged:
        own = [row for row in rows if row.group_id == group_id]
        assert sum(row.advantage for row in own) == pytest.approx(0, abs=1e-12)
        assert sorted(row.advantage for row in own) == pytest.approx([-0.25] * 3 + [0.75])
        assert {(row.source, row.mode, row.lag, row.source_weight) for row in own} == {
            ("human", "best", 0, 1.0)
        }


def test_an_update_taken_up_again_ends_in_the_same_weights(desk: Desk) -> None:
    """Stopped in mid-training and claimed again, it equals one that was never stopped."""
    desk.rate(3)
    update = updates.create(desk.db, desk.project.id)
    left = interrupt_once(desk.worker.bench, at_step=3)
    desk.work()
    assert left == [False]
    first = checkpoint_of(desk, updates.get(desk.db, update.id).version_id)
    versions.activate(desk.db, versions.by_number(desk.db, desk.project.id, 0).id)
    again = replay(desk, update.id)
    assert first.adapter.keys() == again.keys()
    assert all(torch.equal(first.adapter[name], again[name]) for name in again)


def test_steps_count_alike_or_by_their_noise_as_the_settings_say(desk: Desk) -> None:
    desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    trained = checkpoint_of(desk, updates.get(desk.db, update.id).version_id).adapter
    versions.activate(desk.db, versions.by_number(desk.db, desk.project.id, 0).id)
    again = {kind: replay(desk, update.id, step_weights=kind) for kind in ("noise", "alike")}
    assert all(torch.equal(trained[name], again["noise"][name]) for name in trained)
    assert not all(torch.equal(trained[name], again["alike"][name]) for name in trained)


def test_the_brake_grows_with_the_distance_from_the_base(desk: Desk) -> None:
    """The second update starts where the first one ended, and its budget is used up by then."""
    projects.change(desk.db, desk.project.id, settings={"kl_weight": 0.5, "kl_budget": 1e-4})
    used = []
    for _ in range(2):
        desk.rate(2)
        update = updates.create(desk.db, desk.project.id)
        desk.work()
        used.append(updates.get(desk.db, update.id).metrics)
    distance = used[0]["policy/kl_to_base"]
    assert distance > 1e-4
    assert used[0]["policy/kl_weight"] == 0.5
    assert used[1]["policy/kl_weight"] == pytest.approx(0.5 * (distance / 1e-4) ** 2)


def interrupt_once(bench: Bench, at_step: int, phase: str = "training") -> list[bool]:
    between = bench.between
    left = [True]

    def interrupted(job: Job, now: str, step: int, steps: int) -> None:
        if left[0] and now == phase and step >= at_step:
            left[0] = False
            raise Stopping("as if the studio stopped here")
        between(job, now, step, steps)

    bench.between = interrupted  # type: ignore[method-assign]
    return left


def replay(desk: Desk, update_id: str, **changes: Any) -> dict[str, torch.Tensor]:
    """Train once more from the recorded inputs, past the database, and return the adapter."""
    update = updates.get(desk.db, update_id)
    project = projects.get(desk.db, update.project_id)
    config = projects.revision(desk.db, update.revision_id).config.merged(changes)
    parent = versions.get(desk.db, update.parent_id)
    bench = desk.worker.bench
    policy = bench.models.ready(project, config, "learner", parent)
    bench.models.learner_moved()
    claimed = updates.groups_of(desk.db, update_id)
    bench.between = lambda *_: None  # type: ignore[method-assign]
    recorded = updates.inputs(desk.db, update_id)
    judged = job_update._faithful(bench, Job(), update, claimed, recorded)
    learner = job_update._learner(bench, policy, config, parent)
    job_update._train(bench, Job(), learner, judged, config, update.seed)
    return learner.checkpoint().adapter


def test_a_cancelled_update_gives_its_groups_back(desk: Desk) -> None:
    desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    between = desk.worker.bench.between

    def cancel_in_training(job: Job, phase: str, step: int, steps: int) -> None:
        if phase == "training":
            updates.cancel(desk.db, update.id)
            desk.worker.bench._reported_at = 0.0
        between(job, phase, step, steps)

    desk.worker.bench.between = cancel_in_training  # type: ignore[method-assign]
    desk.work()
    desk.worker.bench.between = between  # type: ignore[method-assign]
    assert updates.get(desk.db, update.id).status == "cancelled"
    assert [version.number for version in versions.list(desk.db, desk.project.id)] == [0]
    again = updates.create(desk.db, desk.project.id)
    desk.work()
    assert updates.get(desk.db, again.id).group_count == 2


def test_a_version_made_live_meanwhile_leaves_the_update_as_a_branch(desk: Desk) -> None:
    desk.rate(2)
    updates.create(desk.db, desk.project.id)
    desk.work()
    desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    base = versions.by_number(desk.db, desk.project.id, 0)
    between = desk.worker.bench.between

    def go_back_in_training(job: Job, phase: str, step: int, steps: int) -> None:
        if phase == "training":
            versions.activate(desk.db, base.id)
        between(job, phase, step, steps)

    desk.worker.bench.between = go_back_in_training  # type: ignore[method-assign]
    desk.work()
    update = updates.get(desk.db, update.id)
    assert (update.status, update.made_live) == ("succeeded", False)
    assert versions.live(desk.db, desk.project.id).id == base.id
    assert versions.get(desk.db, update.version_id).parent_id != base.id


def test_groups_whose_files_were_tampered_with_stop_one_update_and_no_other(desk: Desk) -> None:
    judged = desk.rate(2)
    for group_id in judged:
        group = groups.get(desk.db, group_id)
        path = desk.files.path(group.trajectory_key)
        stored = trajectory_file.unpack(path.read_bytes())
        stored.log_probs.add_(0.01)
        path.write_bytes(trajectory_file.pack(stored))
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    update = updates.get(desk.db, update.id)
    assert (update.status, update.error_code) == ("failed", "unfaithful_replay")
    assert "do not replay" in update.error_detail
    assert [version.number for version in versions.list(desk.db, desk.project.id)] == [0]
    fresh = desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    assert updates.get(desk.db, update.id).status == "succeeded"
    assert {group.id for group in updates.groups_of(desk.db, update.id)} == set(fresh)


def test_one_damaged_file_in_ten_is_left_out_and_its_rating_says_so(desk: Desk) -> None:
    projects.change(desk.db, desk.project.id, settings={"max_groups_per_update": 10})
    damaged, *whole = desk.rate(10)
    desk.files.path(groups.get(desk.db, damaged).trajectory_key).write_bytes(b"not a trajectory")
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    assert updates.get(desk.db, update.id).status == "succeeded"
    assert {group.id for group in updates.groups_of(desk.db, update.id)} == set(whole)
    assert (
        groups.get(desk.db, damaged).retired_reason == "The group no longer replays as it was made."
    )


def test_an_update_on_automatic_rewards_alone_makes_and_scores_its_groups(desk: Desk) -> None:
    [rated] = desk.rate(1)
    weights = projects.RewardWeights(0.0, {"clip_score": 1.0})
    projects.set_reward(desk.db, desk.project.id, weights)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    update = updates.get(desk.db, update.id)
    assert (update.status, update.rating_count) == ("succeeded", 0)
    assert update.group_count >= SETTINGS["min_groups"]
    inputs = updates.inputs(desk.db, update.id)
    assert {row.source for row in inputs} == {"clip_score"}
    assert rated not in {row.group_id for row in inputs}
    assert groups.get(desk.db, rated).usable, "a person's judgement waits for its own update"
    scale = update.source_scales["clip_score"]
    by_group: dict[str, list[float]] = {}
    for row in inputs:
        by_group.setdefault(row.group_id, []).append(row.reward)
    for row in inputs:
        own = by_group[row.group_id]
        k = len(own)
        others = (sum(own) - row.reward) / (k - 1)
        assert row.advantage == pytest.approx((row.reward - others) / scale, rel=1e-6)


def test_where_no_group_can_be_made_the_project_pauses_and_says_why(desk: Desk) -> None:
    projects.change(desk.db, desk.project.id, settings={"eta": 0.001})
    assert jobs.refill(desk.db, desk.project.id) == SETTINGS["buffer_groups"]
    assert desk.work() == 1, "one failure is enough"
    told = status.status(desk.db, desk.project.id)
    assert told.generation == "paused"
    assert "no step is noisy enough to learn from; raise eta" in told.generation_reason
    assert jobs.refill(desk.db, desk.project.id) == 0
    projects.change(desk.db, desk.project.id, settings={"eta": 1.0})
    assert len(desk.rate(1)) == 1


def test_a_broken_old_version_does_not_stop_generation(desk: Desk) -> None:
    desk.rate(2)
    updates.create(desk.db, desk.project.id)
    desk.work()
    old = versions.live(desk.db, desk.project.id)
    versions.activate(desk.db, versions.by_number(desk.db, desk.project.id, 0).id)
    desk.files.path(versions.file(desk.db, old.id, "resume").key).write_bytes(b"not a LoRA")
    wanted = samples.create(desk.db, desk.project.id, ["a fish"], [1], old.number, {})
    desk.work()
    assert samples.get(desk.db, wanted.id)[0].status == "failed"
    assert projects.get(desk.db, desk.project.id).generation_error is None


def test_a_second_version_continues_the_first_with_its_optimizer(desk: Desk) -> None:
    for _ in range(2):
        desk.rate(2)
        updates.create(desk.db, desk.project.id)
        desk.work()
    newest = versions.live(desk.db, desk.project.id)
    assert newest.number == 2
    steps = [
        t for n, t in checkpoint_of(desk, newest.id).optimizer.items() if n.startswith("step.")
    ]
    assert {float(step) for step in steps} == {8.0}  # 2 updates x 2 passes x 2 minibatches


def test_the_probe_wall_of_a_version_is_rendered(desk: Desk) -> None:
    desk.rate(2)
    updates.create(desk.db, desk.project.id)
    desk.work()
    live = versions.live(desk.db, desk.project.id)
    probe = samples.probe(desk.db, live.id)
    assert probe is not None
    _, images = probe
    assert len(images) == 3 * 2  # three prompts, two seeds
    before = samples.probe(desk.db, versions.by_number(desk.db, desk.project.id, 0).id)
    assert before is not None


def test_fine_tune_now_does_not_wait_for_a_full_buffer(desk: Desk) -> None:
    desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    assert status.status(desk.db, desk.project.id).generating_groups > 0
    first = jobs.claim(desk.db, desk.worker.bench.worker_id)
    assert first is not None
    assert first.update_id == update.id


def test_a_rater_who_waits_gets_one_group_before_an_update_starts(desk: Desk) -> None:
    desk.rate(2)
    desk.work()
    hands = 0
    while groups.next_for(desk.db, desk.project.id, f"rater {hands}", []) is not None:
        hands += 1  # every rater holds a group, until one has to wait
    updates.create(desk.db, desk.project.id)
    claimed = [jobs.claim(desk.db, desk.worker.bench.worker_id) for _ in range(2)]
    assert [job.kind for job in claimed if job] == ["rollout", "update"]


@pytest.mark.parametrize(("estimator", "steps"), [("grpo", 4), ("rloo", 1), ("ppo", 4)])
def test_an_update_uses_the_estimator_of_the_settings(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, estimator: str, steps: int
) -> None:
    projects.change(desk.db, desk.project.id, settings={"estimator": estimator})
    taken = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, *a, **o: taken.append(1) or step(self, *a, **o)
    )
    for number in range(2):
        desk.rate(4)
        update = updates.create(desk.db, desk.project.id)
        desk.work()
        assert updates.get(desk.db, update.id).status == "succeeded"
        rows = updates.inputs(desk.db, update.id)
        pushes = sorted(row.advantage for row in rows)
        if estimator == "grpo":  # best of 4: (0.75, -0.25) over the std of 1, 0, 0, 0
            std = 3**0.5 / 4 + 1e-4
            assert pushes == pytest.approx([-0.25 / std] * 12 + [0.75 / std] * 4)
        elif estimator == "rloo":
            assert pushes == [-0.25] * 12 + [0.75] * 4
        remembered = updates.past_rewards(desk.db, update.id)
        assert sum(map(len, remembered.values())) == 16 * number
    assert len(taken) == 2 * steps


def test_an_sdxl_folder_is_rated_and_trained_like_any_other(desk: Desk, tmp_path: Path) -> None:
    tiny.xl_pipeline().save_pretrained(tmp_path / "xl")
    desk.project = projects.create(
        desk.db, "Large", str(tmp_path / "xl"), [("a cat", []), ("a dog", [])], SETTINGS
    )
    desk.rate(3)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    update = updates.get(desk.db, update.id)
    assert (update.status, update.made_live) == ("succeeded", True)
    shown = groups.next_for(desk.db, desk.project.id, "ben", [])
    assert shown is not None
    assert shown.version == 1


def test_a_group_whose_scores_are_no_numbers_waits_for_the_next_update(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = projects.RewardWeights(0.0, {"clip_score": 1.0})
    projects.set_reward(desk.db, desk.project.id, weights)
    score = ClipScore.score
    spoiled: list[list[str]] = []

    def sometimes(self: ClipScore, images: list[Any], prompts: list[str]) -> list[float]:
        found = score(self, images, prompts)
        if not spoiled:
            spoiled.append(prompts)
            return [float("nan"), *found[1:]]
        return found

    monkeypatch.setattr(ClipScore, "score", sometimes)
    projects.change(desk.db, desk.project.id, settings={"auto_update_groups": 3})
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    update = updates.get(desk.db, update.id)
    assert update.status == "succeeded"
    assert len({row.group_id for row in updates.inputs(desk.db, update.id)}) == 2
    assert len(updates.groups_of(desk.db, update.id)) == 2
    assert updates.claimable(desk.db, desk.project.id) == 1


def test_ppo_forgets_what_a_cancelled_update_would_have_learned(desk: Desk) -> None:
    projects.change(desk.db, desk.project.id, settings={"estimator": "ppo"})
    desk.rate(3)
    cancelled = updates.create(desk.db, desk.project.id)
    between = desk.worker.bench.between

    def cancel(job: Job, phase: str, step: int, steps: int) -> None:
        if phase == "training":
            raise Cancelled("as if someone had cancelled")
        between(job, phase, step, steps)

    desk.worker.bench.between = cancel  # type: ignore[method-assign]
    desk.work()
    desk.worker.bench.between = between  # type: ignore[method-assign]
    assert updates.get(desk.db, cancelled.id).status == "cancelled"
    assert updates.inputs(desk.db, cancelled.id)
    again = updates.create(desk.db, desk.project.id)
    assert updates.past_rewards(desk.db, again.id) == {}


def test_a_paused_update_ends_in_the_same_weights_and_groups_are_made_meanwhile(
    desk: Desk,
) -> None:
    desk.rate(3)
    update = updates.create(desk.db, desk.project.id)
    act_in_training(desk, at_step=8, act=lambda: updates.pause(desk.db, update.id))
    desk.work()
    assert updates.get(desk.db, update.id).status == "paused"
    assert desk.rate(4, rater="ben"), "the worker goes on making groups"
    updates.resume(desk.db, update.id)
    desk.work()
    done = updates.get(desk.db, update.id)
    assert (done.status, done.made_live, done.group_count) == ("succeeded", True, 3)
    paused = checkpoint_of(desk, done.version_id).adapter
    versions.activate(desk.db, versions.by_number(desk.db, desk.project.id, 0).id)
    straight = replay(desk, update.id)
    assert all(torch.equal(paused[name], straight[name]) for name in straight)


def test_a_stopped_update_keeps_its_last_optimizer_step_as_a_whole_version(desk: Desk) -> None:
    desk.rate(4)
    update = updates.create(desk.db, desk.project.id)
    learned: list[int] = []

    def stop_once_it_has_learned() -> bool:
        made = desk.worker.bench.under_way.figures.optimizer_steps
        learned.append(made)
        if made:
            updates.progress(
                desk.db, held(desk), "training", 1, 9, None, desk.worker.bench.under_way.figures
            )
            updates.stop(desk.db, update.id)
        return bool(made)

    act_in_training(desk, at_step=1, act=stop_once_it_has_learned)
    desk.work()
    done = updates.get(desk.db, update.id)
    assert (done.status, done.made_live, done.requested) == ("succeeded", True, None)
    assert done.optimizer_steps < 4
    assert done.metrics["policy/optimizer_steps"] == learned[-1] == 1
    assert checkpoint_of(desk, done.version_id).optimizer
    for kind in ("resume", "diffusers", "kohya"):
        assert versions.file(desk.db, done.version_id, kind).size > 0
    assert any("stopped on request" in line for line in updates.log_of(desk.db, update.id))
    desk.rate(2)
    updates.create(desk.db, desk.project.id)
    desk.work()
    assert versions.live(desk.db, desk.project.id).number == 2


def test_an_update_tells_memory_steps_and_a_log_and_remembers_its_speed(desk: Desk) -> None:
    projects.change(desk.db, desk.project.id, settings={"micro_batch": 1})
    desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    done = updates.get(desk.db, update.id)
    assert done.optimizer_steps == done.metrics["policy/optimizer_steps"] == 4
    assert done.memory_bytes > 10**8
    assert done.metrics["time/update_s"] > 0
    assert done.samples_per_s > 0
    log = updates.log_of(desk.db, update.id)
    assert any("optimizer step 4: loss" in line for line in log)
    assert not any("/" in line.split(" ", 1)[1].replace("…/", "") for line in log), log
    told = forecast(desk.db, desk.project.id)
    assert told.past_updates == 1
    assert set(past_speeds(desk.db, desk.project.id)) >= {"reference", "training"}


def held(desk: Desk) -> Job:
    [job] = desk.worker._held
    return job


def act_in_training(desk: Desk, at_step: int, act: Any) -> None:
    """Once an update trains its step `at_step`, do something, until that answers yes."""
    bench, between = desk.worker.bench, desk.worker.bench.between
    left = [True]

    def acted(job: Job, phase: str, step: int, steps: int) -> bool:
        if left[0] and phase == "training" and step >= at_step and act():
            left[0] = False
            bench._reported_at = 0.0
        return between(job, phase, step, steps)

    bench.between = acted  # type: ignore[method-assign]
