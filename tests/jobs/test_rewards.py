"""Rewards at work: swapped, mixed, scored again, tried, and failing, with the real worker."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from loop_studio.rewards import model as seam
from loop_studio.rewards.pixels import Pixels
from loop_studio.storage import (
    groups,
    jobs,
    projects,
    scores,
    scoring,
    status,
    trials,
    updates,
    versions,
)
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Update
from tests.jobs.conftest import Desk


def set_reward(desk: Desk, human: float = 0.0, **models: float) -> None:
    projects.set_reward(desk.db, desk.project.id, RewardWeights(human, models))


def run_update(desk: Desk) -> Update:
    begun = updates.create(desk.db, desk.project.id)
    desk.work()
    return updates.get(desk.db, begun.id)


def sources_of(desk: Desk, update: Update) -> set[str]:
    return {row.source for row in updates.inputs(desk.db, update.id)}


def scoring_job(desk: Desk) -> Any:
    found = scoring.latest(desk.db, desk.project.id)
    assert found is not None
    return jobs.get(desk.db, found.id)


def test_each_update_records_the_reward_it_used(desk: Desk) -> None:
    desk.rate(2)
    people = run_update(desk)
    set_reward(desk, brightness=1.0)
    automatic = run_update(desk)
    assert [sources_of(desk, one) for one in (people, automatic)] == [{"human"}, {"brightness"}]
    used = [projects.revision(desk.db, one.revision_id).reward for one in (people, automatic)]
    assert used == [RewardWeights(1.0, {}), RewardWeights(0.0, {"brightness": 1.0})]
    assert people.source_scales == {}
    assert automatic.source_scales == {"brightness": 0.1}, "declared, below sixteen scored groups"


def test_a_mix_adds_each_sources_own_advantages_by_its_weight_and_scale(desk: Desk) -> None:
    """A worked example: A = w/s x 4/3 (r - mean) for the reward, w x (r - mean) for best-of-4."""
    desk.rate(2)
    set_reward(desk, human=2.0, brightness=0.5)
    rows = updates.inputs(desk.db, run_update(desk).id)
    for group_id in {row.group_id for row in rows}:
        own = [row for row in rows if row.group_id == group_id]
        people = [row for row in own if row.source == "human"]
        assert sorted(row.advantage for row in people) == pytest.approx([-0.5, -0.5, -0.5, 1.5])
        light = [row for row in own if row.source == "brightness"]
        mean = sum(row.reward for row in light) / 4
        for row in light:
            assert row.source_weight == pytest.approx(0.5 / 0.1)
            assert row.advantage == pytest.approx(5 * 4 / 3 * (row.reward - mean))


def test_switching_back_gives_the_same_rewards(desk: Desk) -> None:
    """The same pictures under the same source have one score, whatever counted in between."""
    desk.rate(2)
    set_reward(desk, brightness=1.0)
    desk.work()
    image_ids = [image.id for image in all_images(desk)]
    first = scores.of_images(desk.db, image_ids, "brightness", "1")
    assert set(first) == set(image_ids)
    set_reward(desk, human=1.0)
    set_reward(desk, colourfulness=1.0)
    desk.work()
    set_reward(desk, brightness=1.0)
    desk.work()
    assert scores.of_images(desk.db, image_ids, "brightness", "1") == first
    before = projects.get(desk.db, desk.project.id).revision_id
    set_reward(desk, brightness=1.0)
    assert projects.get(desk.db, desk.project.id).revision_id == before, "nothing has changed"


def all_images(desk: Desk) -> list[Any]:
    ids = scoring.lacking(desk.db, desk.project.id, "nobody", "1")
    return [image for group_id in ids for image in groups.images(desk.db, group_id)]


def test_a_reward_that_is_added_scores_the_groups_there_are(desk: Desk) -> None:
    desk.rate(3)
    set_reward(desk, human=1.0, sharpness=1.0)
    assert scoring_job(desk).state == "queued"
    desk.work()
    job = scoring_job(desk)
    assert (job.state, job.phase) == ("succeeded", "scoring")
    assert job.step == job.steps == scoring.count(desk.db, desk.project.id) >= 3
    assert scoring.lacking(desk.db, desk.project.id, "sharpness", "1") == []
    set_reward(desk, human=2.0, sharpness=0.5)
    assert scoring_job(desk).id == job.id, "another weight needs no new scores"


def test_other_parameters_score_anew_and_an_older_scoring_is_off(desk: Desk) -> None:
    desk.rate(1)
    weights = RewardWeights(1.0, {"judge": 1.0}, {"judge": {"url": "http://a/v1", "model": "m"}})
    projects.set_reward(desk.db, desk.project.id, weights)
    first = scoring_job(desk)
    other = {"judge": {"url": "http://b/v1", "model": "m"}}
    projects.set_reward(desk.db, desk.project.id, RewardWeights(1.0, {"judge": 1.0}, other))
    assert scoring_job(desk).id != first.id
    assert jobs.get(desk.db, first.id).state == "cancelled"


def test_everything_else_goes_before_scoring_what_is_there(desk: Desk) -> None:
    desk.rate(3)
    set_reward(desk, human=1.0, sharpness=1.0)
    job = jobs.claim(desk.db, desk.worker.bench.worker_id, kinds=["score"])
    assert job is not None
    jobs.enqueue(desk.db, "housekeeping", priority=-2)
    desk.worker.run(job)
    assert jobs.get(desk.db, job.id).state == "queued"
    desk.work()
    assert jobs.get(desk.db, job.id).state == "succeeded"


def conduct(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[int]:
    """Have `brightness` answer with answer(number of the call, images)."""
    calls: list[int] = []

    def said(self: Pixels, images: list[Any], prompts: list[str]) -> Any:
        calls.append(len(images))
        return answer(len(calls), images)

    monkeypatch.setattr(Pixels, "score", said)
    return calls


def raising(call: int, images: list[Any]) -> Any:
    raise OSError("the lamp is out")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda call, images: [float("nan")] * len(images), "gave a score that is no number"),
        (lambda call, images: [1.0], "gave 1 scores for 4 pictures"),
        (lambda call, images: "bright", "gave a str, where 4 numbers were asked for"),
        (raising, "failed (OSError: the lamp is out)"),
    ],
    ids=["nan", "too few", "wrong type", "raises"],
)
def test_no_update_learns_from_a_reward_that_fails(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: Any, sentence: str
) -> None:
    rated = desk.rate(2)
    conduct(monkeypatch, answer)
    set_reward(desk, human=1.0, brightness=1.0)
    update = run_update(desk)
    assert update.status == "failed"
    assert "The reward brightness" in (update.error_detail or "")
    assert sentence in (update.error_detail or "")
    assert "Rewards page" in (update.error_detail or ""), "the next step"
    assert status.status(desk.db, desk.project.id).usable_groups == 2
    for group_id in rated:
        group = groups.get(desk.db, group_id)
        assert (group.retired_reason, group.used_by_update_id) == (None, None)
    set_reward(desk, human=1.0)
    assert run_update(desk).status == "succeeded", "the last good state keeps working"


def test_a_reward_that_takes_for_ever_ends_the_update_and_the_groups_wait(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.rate(2)
    let_go = threading.Event()
    monkeypatch.setattr(seam, "SCORE_LIMIT_S", 0.3)
    calls = conduct(monkeypatch, lambda call, images: let_go.wait(20))
    set_reward(desk, human=1.0, brightness=1.0)
    update = run_update(desk)
    assert "took longer than 0.3 seconds" in (update.error_detail or "")
    assert status.status(desk.db, desk.project.id).usable_groups == 2
    assert len(calls) == 1, "the other groups do not wait for it again"
    let_go.set()


def test_a_group_that_cannot_be_scored_waits_and_the_update_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.rate(3)

    def once(call: int, images: list[Any]) -> list[float]:
        return [float("nan" if call == 1 else place) for place in range(len(images))]

    conduct(monkeypatch, once)
    set_reward(desk, human=1.0, brightness=1.0)
    update = run_update(desk)
    assert (update.status, update.error_detail) == ("succeeded", None)
    assert (update.notice or "").startswith(
        "Groups that could not be scored and wait for the next update: 1. The reward brightness"
    )
    assert len(updates.groups_of(desk.db, update.id)) == 2
    assert status.status(desk.db, desk.project.id).usable_groups == 1


def test_a_reward_that_sees_the_whole_group_is_centred_as_a_relative_one(desk: Desk) -> None:
    desk.rate(2)
    set_reward(desk, human=1.0, variety=1.0)
    update = run_update(desk)
    rows = [row for row in updates.inputs(desk.db, update.id) if row.source == "variety"]
    assert {row.mode for row in rows} == {"group_score"}
    for group_id in {row.group_id for row in rows}:
        own = [row for row in rows if row.group_id == group_id]
        mean = sum(row.reward for row in own) / len(own)
        for row in own:
            assert row.advantage == pytest.approx(row.source_weight * (row.reward - mean))


def test_a_trial_asks_every_reward_and_one_that_fails_says_why(desk: Desk) -> None:
    (rated,) = desk.rate(1)
    pictures = trials.images_of(desk.db, desk.project.id, rated)
    models: dict[str, dict[str, str]] = {"clip_score": {}, "judge": {}, "variety": {}}
    trial = trials.create(desk.db, desk.project.id, pictures, models)
    desk.work()
    done = trials.get(desk.db, trial.id)
    results = done.payload["results"]
    assert done.state == "succeeded"
    assert [len(results[name]["scores"]) for name in ("clip_score", "variety")] == [4, 4]
    assert results["judge"]["scores"] is None
    assert "No endpoint is set" in results["judge"]["error"]
    assert scores.of_images(
        desk.db, [one.image_id or "" for one in pictures], "variety", "1"
    ) == {}, "nothing is kept"  # fmt: skip


def test_a_failing_reward_costs_a_version_its_measurement_and_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.rate(2)
    updates.create(desk.db, desk.project.id)
    set_reward(desk, human=1.0, brightness=1.0)
    conduct(monkeypatch, raising)
    desk.work()
    metrics = versions.live(desk.db, desk.project.id).metrics
    assert set(metrics["probe"]) == {"clip_score"}
