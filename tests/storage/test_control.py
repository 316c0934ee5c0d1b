"""Pause, resume, stop, cancel: who presses first is heard, and nothing breaks."""

from __future__ import annotations

import pytest

from loop_studio.errors import Conflict
from loop_studio.storage import groups, job_queue, jobs, status, updates
from loop_studio.storage.database import Database
from loop_studio.storage.forecast import forecast
from loop_studio.storage.updates import Figures
from tests.storage.studio import FILES, make_group, make_project, rate, start_update
from tests.storage.test_updates import counted, together


@pytest.fixture
def project(db: Database):
    made = make_project(db)
    rate(db, make_group(db, made))
    return made


def learned(db: Database, job, steps: int = 1) -> None:
    updates.progress(db, job, "training", 3, 9, 2.0, Figures(optimizer_steps=steps))


def test_a_waiting_update_is_paused_at_once_and_no_worker_takes_it(db: Database, project) -> None:
    queued = updates.create(db, project.id)
    assert updates.pause(db, queued.id).status == "paused"
    assert updates.pause(db, queued.id).status == "paused"
    assert jobs.claim(db, "w", kinds=["update"]) is None
    told = status.status(db, project.id)
    assert told.active_update_id == queued.id
    assert told.can_update_reason == "An update is paused; resume it, or cancel it."
    with pytest.raises(Conflict, match="Update 1 is paused; resume it, or cancel it"):
        updates.create(db, project.id)
    assert updates.resume(db, queued.id).status == "queued"
    assert jobs.claim(db, "w", kinds=["update"]) is not None


def test_a_running_update_is_parked_by_its_worker_and_starts_over(db: Database, project) -> None:
    begun, job = start_update(db, project)
    claimed = updates.claim_groups(db, begun.id)
    learned(db, job)
    asked = updates.pause(db, begun.id)
    assert (asked.status, asked.requested) == ("running", "pause")
    assert updates.wish(db, job).pause
    updates.park(db, job)
    parked = updates.get(db, begun.id)
    assert (parked.status, parked.requested, parked.step) == ("paused", None, 0)
    assert parked.optimizer_steps == 0
    assert groups.get(db, claimed[0].id).used_by_update_id == begun.id
    with pytest.raises(Conflict, match="nothing yet that could be kept"):
        updates.stop(db, begun.id)
    updates.resume(db, begun.id)
    again = jobs.claim(db, "w2", kinds=["update"])
    assert again is not None
    assert again.attempt == 1, "a pause is no failed attempt"
    assert updates.start(db, begun.id, again).status == "running"


def test_resumed_before_the_worker_obeyed_it_just_goes_on(db: Database, project) -> None:
    begun, job = start_update(db, project)
    updates.pause(db, begun.id)
    assert updates.resume(db, begun.id).requested is None
    assert not updates.wish(db, job).pause
    updates.park(db, job)  # the worker had read the wish already
    assert updates.get(db, begun.id).status == "queued"


def test_stopping_needs_something_learned_and_then_goes_before_a_pause(
    db: Database, project
) -> None:
    begun, job = start_update(db, project)
    with pytest.raises(Conflict, match="wait for its first optimizer step") as refused:
        updates.stop(db, begun.id)
    assert refused.value.code == "nothing_learned"
    learned(db, job)
    updates.pause(db, begun.id)
    for _ in range(2):
        assert updates.stop(db, begun.id).requested == "stop"
    with pytest.raises(Conflict, match="about to stop and to keep") as refused:
        updates.pause(db, begun.id)
    assert refused.value.code == "stopping"
    assert updates.wish(db, job).stop
    updates.publish(db, job, begun.id, FILES, {})
    done = updates.get(db, begun.id)
    assert (done.status, done.requested) == ("succeeded", None)


@pytest.mark.parametrize("act", [updates.pause, updates.resume, updates.stop])
def test_after_someone_cancelled_the_others_are_told(db: Database, project, act) -> None:
    begun, job = start_update(db, project)
    learned(db, job)
    updates.cancel(db, begun.id)
    with pytest.raises(Conflict, match="Someone cancelled update 1") as refused:
        act(db, begun.id)
    assert refused.value.code == "cancelling"
    assert updates.wish(db, job).cancel
    jobs.finish(db, job, "cancelled", "cancelled", "Cancelled on request.")
    with pytest.raises(Conflict, match="Update 1 has already been cancelled") as refused:
        act(db, begun.id)
    assert refused.value.code == "already_finished"


def test_a_paused_update_is_cancelled_at_once_and_gives_its_groups_back(
    db: Database, project
) -> None:
    begun, job = start_update(db, project)
    updates.claim_groups(db, begun.id)
    updates.pause(db, begun.id)
    updates.park(db, job)
    assert updates.cancel(db, begun.id).status == "cancelled"
    assert jobs.get(db, job.id).state == "cancelled"
    assert status.status(db, project.id).usable_groups == 1


@pytest.mark.parametrize("claimed", [False, True])
def test_opposite_buttons_at_once_leave_one_plain_state(
    db: Database, project, claimed: bool
) -> None:
    if claimed:
        begun, job = start_update(db, project)
        learned(db, job)
    else:
        begun = updates.create(db, project.id)
    acts = iter([updates.pause, updates.resume, updates.cancel, updates.stop, updates.pause])
    answers = together(5, lambda: next(acts)(db, begun.id))
    codes = {answer.code for answer in answers if isinstance(answer, Conflict)}
    assert codes <= {"cancelling", "already_finished", "nothing_learned", "stopping"}
    ended = updates.get(db, begun.id)
    assert ended.cancel_requested
    assert ended.status == ("running" if claimed else "cancelled")
    assert counted(db) == (1, 1)


def test_a_stop_of_the_studio_leaves_the_update_waiting(db: Database, project) -> None:
    begun, job = start_update(db, project)
    learned(db, job)
    jobs.requeue(db, job)
    waiting = updates.get(db, begun.id)
    assert (waiting.status, waiting.step, waiting.optimizer_steps) == ("queued", 0, 0)


def test_the_forecast_tells_what_an_update_would_take_and_how_long(db: Database, project) -> None:
    told = forecast(db, project.id)
    assert (told.from_version, told.groups, told.ratings) == (0, 1, 1)
    assert (told.seconds, told.memory_bytes, told.past_updates) == (None, None, 0)
    begun, job = start_update(db, project)
    updates.claim_groups(db, begun.id)
    measured = {"time/update_s": 30.0, "memory/process_bytes": 5e9}
    updates.publish(db, job, begun.id, FILES, measured)
    for _ in range(2):
        rate(db, make_group(db, project))
    told = forecast(db, project.id)
    assert (told.from_version, told.groups, told.seconds) == (1, 2, 60.0)
    assert (told.memory_bytes, told.accelerator_bytes) == (5 * 10**9, None)


def test_the_queue_is_listed_as_it_is_claimed_and_failed_jobs_can_be_retried(
    db: Database, project
) -> None:
    low = jobs.enqueue(db, "housekeeping", priority=-5)
    high = jobs.enqueue(db, "check_model", project.id, priority=20)
    running = jobs.claim(db, "w", kinds=["check_model"])
    queued = updates.create(db, project.id)
    listed = [job for job, _ in job_queue.listing(db) if job.kind != "rollout"]
    assert [job.kind for job in listed] == ["check_model", "update", "housekeeping"]
    assert listed[0].id == high.id
    jobs.finish(db, running, "failed", "model_unusable", "No such model.")
    [(broken, name)] = job_queue.failed(db)
    assert (broken.id, name) == (high.id, "Test")
    assert job_queue.retry(db, high.id).state == "queued"
    assert job_queue.failed(db) == []
    with pytest.raises(Conflict, match="only a failed one can be tried again") as refused:
        job_queue.retry(db, low.id)
    assert refused.value.code == "not_failed"
    job = jobs.claim(db, "w", kinds=["update"])
    updates.start(db, queued.id, job)
    jobs.finish(db, job, "failed", "out_of_memory", "Too big.")
    again = job_queue.retry(db, job.id)
    assert again.update_id not in {None, queued.id}
    assert job_queue.failed(db) == []
    with pytest.raises(Conflict, match="is queued"):
        job_queue.retry(db, job.id)
