import multiprocessing
import threading
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import update

from loop_studio.storage import jobs, samples
from loop_studio.storage.database import Database, changed
from loop_studio.storage.jobs import LostLease
from loop_studio.storage.schema import Job, now
from tests.storage.studio import make_project


def lapse(db: Database, job: Job) -> None:
    with db.write() as session:
        past = now() - timedelta(seconds=1)
        changed(session, update(Job).where(Job.id == job.id).values(lease_until=past))


def claimed(db: Database, worker: str = "w") -> Job:
    job = jobs.claim(db, worker)
    assert job is not None
    return job


def claim_all(url: str, worker: str, out: list[str] | None = None) -> list[str]:
    db, ids = Database(url), []
    while (job := jobs.claim(db, worker)) is not None:
        ids.append(job.id)
    db.dispose()
    if out is not None:
        out.extend(ids)
    return ids


def claim_into(url: str, worker: str, queue: "multiprocessing.Queue[list[str]]") -> None:
    queue.put(claim_all(url, worker))


def test_concurrent_threads_never_claim_a_job_twice(db: Database) -> None:
    for _ in range(80):
        jobs.enqueue(db, "export")
    taken: list[str] = []
    threads = [
        threading.Thread(target=claim_all, args=(db.url, f"w{number}", taken))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 80


def test_concurrent_processes_never_claim_a_job_twice(db: Database) -> None:
    for _ in range(80):
        jobs.enqueue(db, "export")
    spawn = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[list[str]] = spawn.Queue()
    processes = [
        spawn.Process(target=claim_into, args=(db.url, f"w{number}", queue)) for number in range(3)
    ]
    for process in processes:
        process.start()
    taken = [job_id for _ in processes for job_id in queue.get(timeout=60)]
    for process in processes:
        process.join(60)
    assert len(taken) == len(set(taken)) == 80


def test_the_most_urgent_then_the_oldest_is_claimed_first(db: Database) -> None:
    late, urgent = jobs.enqueue(db, "export"), jobs.enqueue(db, "score", priority=5)
    later = jobs.enqueue(db, "export")
    assert [claimed(db).id for _ in range(3)] == [urgent.id, late.id, later.id]
    assert jobs.claim(db, "w") is None


def test_claim_can_be_limited_to_kinds_and_a_project(db: Database) -> None:
    one, other = make_project(db), make_project(db)
    jobs.enqueue(db, "score", one.id)
    wanted = jobs.enqueue(db, "rollout", one.id)
    jobs.enqueue(db, "rollout", other.id)
    found = jobs.claim(db, "w", kinds=["rollout"], project_id=one.id)
    assert found is not None
    assert found.id == wanted.id
    assert jobs.claim(db, "w", kinds=["rollout"], project_id=one.id) is None


def test_a_lapsed_lease_is_claimed_again_and_its_old_holder_may_write_no_more(
    db: Database,
) -> None:
    jobs.enqueue(db, "export")
    first = claimed(db, "old")
    assert jobs.claim(db, "new") is None
    lapse(db, first)
    second = claimed(db, "new")
    assert (second.id, second.attempt) == (first.id, 2)
    for write in (
        lambda: jobs.progress(db, first, "x", 1, 2),
        lambda: jobs.finish(db, first, "succeeded"),
        lambda: jobs.requeue(db, first),
    ):
        with pytest.raises(LostLease):
            write()
    jobs.progress(db, second, "moving", 1, 2)
    jobs.finish(db, second, "succeeded")
    ended = jobs.get(db, first.id)
    assert (ended.state, ended.phase, ended.step) == ("succeeded", "moving", 1)


def test_a_fence_holds_against_the_same_worker_at_an_earlier_attempt(db: Database) -> None:
    jobs.enqueue(db, "export")
    first = claimed(db)
    lapse(db, first)
    assert claimed(db).attempt == 2
    with pytest.raises(LostLease):
        jobs.finish(db, first, "succeeded")


def test_a_lapsed_lease_that_nobody_took_is_taken_up_again(db: Database) -> None:
    jobs.enqueue(db, "export")
    job = claimed(db, "sleeper")
    lapse(db, job)
    jobs.heartbeat(db, [job.id], "sleeper")
    assert jobs.claim(db, "other") is None
    jobs.finish(db, job, "succeeded")


def test_heartbeat_does_not_touch_another_workers_job(db: Database) -> None:
    jobs.enqueue(db, "export")
    job = claimed(db, "mine")
    lapse(db, job)
    jobs.heartbeat(db, [job.id], "other")
    assert claimed(db, "other").attempt == 2


def test_a_job_whose_worker_is_lost_three_times_fails_with_a_sentence(db: Database) -> None:
    jobs.enqueue(db, "export")
    for attempt in (1, 2, 3):
        job = claimed(db, f"w{attempt}")
        assert job.attempt == attempt
        jobs.expire_leases(db, f"w{attempt}")
    assert jobs.claim(db, "w4") is None
    jobs.sweep(db)
    lost = jobs.get(db, job.id)
    assert (lost.state, lost.error_code) == ("failed", "worker_lost")
    assert "3 times" in (lost.error_detail or "")


def test_a_job_that_is_given_back_does_not_lose_an_attempt(db: Database) -> None:
    jobs.enqueue(db, "export")
    for _ in range(5):
        jobs.requeue(db, claimed(db))
    assert claimed(db).attempt == 1


def test_a_cancelled_job_of_a_dead_worker_ends_cancelled(db: Database) -> None:
    jobs.enqueue(db, "export")
    job = claimed(db)
    assert jobs.cancel_requested(db, job) is False
    with db.write() as session:
        changed(session, update(Job).values(cancel_requested=True))
    assert jobs.cancel_requested(db, job) is True
    jobs.expire_leases(db, "w")
    jobs.sweep(db)
    assert jobs.get(db, job.id).state == "cancelled"


def test_a_dedupe_key_counts_once_for_ever(db: Database) -> None:
    first = jobs.enqueue(db, "housekeeping", dedupe_key="hour/7")
    assert jobs.enqueue(db, "housekeeping", dedupe_key="hour/7").id == first.id
    jobs.finish(db, claimed(db), "succeeded")
    assert jobs.enqueue(db, "housekeeping", dedupe_key="hour/7").id == first.id
    assert jobs.claim(db, "w") is None


def test_concurrent_enqueues_with_one_key_make_one_job(db: Database) -> None:
    ids: list[str] = []
    barrier = threading.Barrier(6)

    def enqueue() -> None:
        barrier.wait()
        ids.append(jobs.enqueue(db, "export", dedupe_key="same").id)

    threads = [threading.Thread(target=enqueue) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1


def test_failure_keeps_the_sentence_and_the_traceback(db: Database) -> None:
    jobs.enqueue(db, "export")
    job = claimed(db)
    jobs.finish(db, job, "failed", "oops", "It failed.", "Traceback ...")
    ended = jobs.get(db, job.id)
    assert (ended.error_code, ended.error_detail, ended.error_log) == (
        "oops",
        "It failed.",
        "Traceback ...",
    )
    assert ended.finished_at is not None
    assert jobs.finished_count(db) == 0


def test_samples_follow_their_job(db: Database) -> None:
    project = make_project(db)
    wanted = samples.create(db, project.id, ["a fish"], [1], None, {})
    job = jobs.claim(db, "w", kinds=["samples"])
    assert job is not None
    assert samples.get(db, wanted.id)[0].status == "running"
    jobs.finish(db, job, "failed", "oops", "It failed.")
    assert samples.get(db, wanted.id)[0].status == "failed"


def test_refill_draws_prompts_in_a_fair_round_robin(db: Database) -> None:
    project = make_project(db, buffer_groups=7)
    assert jobs.refill(db, project.id) == 7
    assert jobs.refill(db, project.id) == 0
    drawn = Counter[str]()
    while (job := jobs.claim(db, "w", kinds=["rollout"])) is not None:
        drawn[job.payload["prompt_id"]] += 1
        jobs.finish(db, job, "failed")
    assert sorted(drawn.values()) == [2, 2, 3]
    assert jobs.refill(db, project.id) == 7
    while (job := jobs.claim(db, "w", kinds=["rollout"])) is not None:
        drawn[job.payload["prompt_id"]] += 1
    assert sorted(drawn.values()) == [4, 5, 5]
