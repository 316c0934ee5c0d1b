import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from loop_studio.errors import Conflict, NotFound
from loop_studio.storage import groups, jobs, projects, ratings, status, updates, versions
from loop_studio.storage.database import Database, changed
from loop_studio.storage.jobs import LostLease
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Group, Job, Update, now
from loop_studio.storage.updates import NewInput
from tests.storage.studio import FILES, make_group, make_project, publish, rate, skip, start_update


def counted(db: Database) -> tuple[int, int]:
    """How many updates there are, and how many jobs for them."""
    with db.read() as session:
        made = session.scalar(select(func.count()).select_from(Update))
        queued = session.scalar(select(func.count()).where(Job.kind == "update"))
    return made or 0, queued or 0


def lapse(db: Database) -> None:
    with db.write() as session:
        past = now() - timedelta(seconds=1)
        changed(session, update(Job).where(Job.state == "running").values(lease_until=past))


def new_input(db: Database, group: Group, value: float = 1.0) -> NewInput:
    image = groups.images(db, group.id)[0]
    return NewInput(group.id, image.id, "score", None, None, "score", value, 1.0, value, 0)


def together(count: int, act: Callable[[], object]) -> list[object]:
    """What `count` threads get that act at once; an error counts as what it got."""
    answers: list[object] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        try:
            answers.append(act())
        except Conflict as error:
            answers.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_too_few_usable_groups_are_refused_with_the_number_that_lacks(db: Database) -> None:
    project = make_project(db, min_groups=2)
    rate(db, make_group(db, project))
    skip(db, make_group(db, project))
    with pytest.raises(Conflict, match="1 more usable group is needed: 1 of 2") as refused:
        updates.create(db, project.id)
    assert refused.value.code == "too_few_groups"
    assert counted(db) == (0, 0)


def test_one_update_at_a_time_even_when_asked_for_at_once(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    answers = together(6, lambda: updates.create(db, project.id))
    made = [answer for answer in answers if isinstance(answer, Update)]
    refused = [answer for answer in answers if isinstance(answer, Conflict)]
    assert (len(made), len(refused)) == (1, 5)
    assert {(error.code, error.extra["update_id"]) for error in refused} == {
        ("update_active", made[0].id)
    }
    assert counted(db) == (1, 1)


def test_the_database_itself_refuses_a_second_active_update(db: Database) -> None:
    project = make_project(db)
    assert project.revision_id is not None

    def insert(number: int) -> None:
        with db.write() as session:
            session.add(
                Update(
                    project_id=project.id, number=number, revision_id=project.revision_id, seed=1
                )
            )

    insert(1)
    with pytest.raises(IntegrityError, match="project_id"):
        insert(2)


def test_the_oldest_usable_groups_are_claimed_up_to_the_maximum(db: Database) -> None:
    project = make_project(db, max_groups_per_update=2)
    made = [make_group(db, project) for _ in range(4)]
    for group in reversed(made[1:]):
        rate(db, group)
    skip(db, made[0])
    assert updates.claimable(db, project.id) == 3
    begun, _ = start_update(db, project)
    claimed = updates.claim_groups(db, begun.id)
    assert [group.id for group in claimed] == [made[1].id, made[2].id]
    assert [group.id for group in updates.claim_groups(db, begun.id)] == [made[1].id, made[2].id]
    assert [group.id for group in updates.groups_of(db, begun.id)] == [made[1].id, made[2].id]
    told = updates.get(db, begun.id)
    assert (told.group_count, told.rating_count) == (2, 2)
    assert status.status(db, project.id).usable_groups == 1


def test_publishing_lists_the_version_makes_it_live_and_ends_the_job(db: Database) -> None:
    project = make_project(db)
    stored = rate(db, make_group(db, project))
    begun, job = start_update(db, project)
    assert (begun.status, begun.parent_id) == ("running", versions.live(db, project.id).id)
    assert jobs.get(db, job.id).state == "running"
    updates.claim_groups(db, begun.id)
    updates.progress(db, job, "training", 3, 4, 1.5)
    moving = updates.get(db, begun.id)
    assert (moving.phase, moving.step, moving.steps, moving.eta_s) == ("training", 3, 4, 1.5)
    version = updates.publish(db, job, begun.id, FILES, {"loss": 0.5})
    done = updates.get(db, begun.id)
    assert (done.status, done.version_id, done.made_live, done.step, done.eta_s) == (
        "succeeded",
        version.id,
        True,
        4,
        None,
    )
    assert jobs.get(db, job.id).state == "succeeded"
    assert [row.number for row in versions.list(db, project.id)] == [0, 1]
    assert versions.live(db, project.id).id == version.id
    assert version.parent_id == begun.parent_id
    assert versions.file(db, version.id, "kohya").key == FILES["kohya"].key
    again = ratings.undo(db, stored.event_id)
    assert again.used_by_update_id == begun.id


def test_a_version_whose_parent_is_no_longer_live_stays_a_branch(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    first = publish(db, project)
    rate(db, make_group(db, project))
    begun, job = start_update(db, project)
    versions.activate(db, versions.by_number(db, project.id, 0).id)
    branch = updates.publish(db, job, begun.id, FILES, {})
    done = updates.get(db, begun.id)
    assert (done.status, done.made_live, branch.parent_id) == ("succeeded", False, first.id)
    assert versions.live(db, project.id).number == 0
    assert [row.number for row in versions.list(db, project.id)] == [0, 1, 2]


def test_a_queued_update_is_cancelled_at_once_and_repeatably(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    queued = updates.create(db, project.id)
    assert updates.cancel(db, queued.id).status == "cancelled"
    assert updates.cancel(db, queued.id).cancel_requested
    assert jobs.claim(db, "w", kinds=["update"]) is None
    assert updates.create(db, project.id).number == 2


def test_a_running_update_is_asked_to_stop_and_gives_its_groups_back(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    rate(db, group)
    begun, job = start_update(db, project)
    updates.claim_groups(db, begun.id)
    asked = updates.cancel(db, begun.id)
    assert (asked.status, asked.cancel_requested) == ("running", True)
    assert updates.cancel(db, begun.id).status == "running"
    assert jobs.cancel_requested(db, job)
    jobs.finish(db, job, "cancelled", "cancelled", "Cancelled on request.", "")
    assert updates.cancel(db, begun.id).status == "cancelled"
    assert groups.get(db, group.id).used_by_update_id is None
    assert status.status(db, project.id).usable_groups == 1


def test_a_finished_update_cannot_be_cancelled(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    done = publish(db, project)
    with pytest.raises(Conflict, match="Update 1 has already succeeded") as refused:
        updates.cancel(db, done.update_id or "")
    assert refused.value.code == "already_finished"


def test_failure_keeps_the_sentence_and_gives_groups_and_ratings_back(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    stored = rate(db, group)
    begun, job = start_update(db, project)
    updates.claim_groups(db, begun.id)
    assert rate(db, group, event_id=stored.event_id).used_by_update_id == begun.id
    jobs.finish(db, job, "failed", "out_of_memory", "Too big.", "Traceback")
    failed = updates.get(db, begun.id)
    assert (failed.status, failed.error_code, failed.error_detail) == (
        "failed",
        "out_of_memory",
        "Too big.",
    )
    assert jobs.get(db, job.id).error_log == "Traceback"
    kept = rate(db, group, event_id=stored.event_id)
    assert (kept.usable, kept.used_by_update_id) == (True, None)
    begun, _ = start_update(db, project)
    assert [row.id for row in updates.claim_groups(db, begun.id)] == [group.id]


def test_a_killed_worker_leaves_an_update_that_is_resumed_then_honestly_failed(
    db: Database,
) -> None:
    project = make_project(db)
    group = make_group(db, project)
    rate(db, group)
    begun, job = start_update(db, project, "w1")
    claimed = updates.claim_groups(db, begun.id)
    recorded = updates.record_inputs(db, begun.id, [new_input(db, group)], {"score": 2.0}, 7)
    for worker in ("w2", "w3"):
        jobs.expire_leases(db, job.worker_id or "")
        job = jobs.claim(db, worker, kinds=["update"]) or job
        assert job.worker_id == worker
        resumed = updates.start(db, begun.id, job)
        assert (resumed.parent_id, resumed.started_at) == (begun.parent_id, begun.started_at)
        assert [row.id for row in updates.claim_groups(db, begun.id)] == [claimed[0].id]
        same = updates.record_inputs(db, begun.id, [new_input(db, group, 9.0)], {"score": 9.0}, 8)
        assert [row.id for row in same] == [row.id for row in recorded]
        told = updates.get(db, begun.id)
        assert (told.seed, told.source_scales) == (7, {"score": 2.0})
    jobs.expire_leases(db, "w3")
    jobs.sweep(db)
    lost = updates.get(db, begun.id)
    assert (lost.status, lost.error_code) == ("failed", "worker_lost")
    assert groups.get(db, group.id).used_by_update_id is None
    with pytest.raises(LostLease):
        updates.publish(db, job, begun.id, FILES, {})
    assert [row.number for row in versions.list(db, project.id)] == [0]
    assert publish(db, project).number == 1


def test_a_worker_that_lost_its_lease_publishes_nothing(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    begun, old = start_update(db, project, "old")
    lapse(db)
    new = jobs.claim(db, "new", kinds=["update"])
    assert new is not None
    for write in (
        lambda: updates.start(db, begun.id, old),
        lambda: updates.progress(db, old, "training", 1, 2),
        lambda: updates.publish(db, old, begun.id, FILES, {}),
        lambda: jobs.finish(db, old, "failed", "x", "x", "x"),
    ):
        with pytest.raises(LostLease):
            write()
    assert len(versions.list(db, project.id)) == 1
    assert updates.get(db, begun.id).status == "running"
    assert updates.publish(db, new, begun.id, FILES, {}).number == 1


def test_an_update_cancelled_behind_the_workers_back_is_not_started(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    begun, job = start_update(db, project)
    jobs.requeue(db, job)
    assert updates.cancel(db, begun.id).status == "cancelled"
    with pytest.raises(LostLease):
        updates.start(db, begun.id, job)


def test_judgements_are_those_that_were_claimed_whatever_came_since(db: Database) -> None:
    project = make_project(db, overlap=2)
    group = make_group(db, project)
    first, other = rate(db, group, "ann", best=0), rate(db, group, "bob", best=1)
    skip(db, group, "cat")
    waiting = updates.judgements(db, [group.id])
    begun, _ = start_update(db, project)
    updates.claim_groups(db, begun.id)
    rate(db, group, "ann", best=3)
    ratings.undo(db, other.event_id)
    claimed = updates.judgements(db, [group.id])
    assert claimed == waiting
    assert [row.rewards for row in claimed] == [first.rewards, other.rewards]
    assert [row.mode for row in claimed] == ["best", "best"]


def test_with_automatic_rewards_only_no_rating_is_needed_and_none_is_used_up(db: Database) -> None:
    project = make_project(db, min_groups=4)
    rated, plain = make_group(db, project), make_group(db, project)
    stored = rate(db, rated)
    projects.set_reward(db, project.id, RewardWeights(0.0, {"clip_score": 1.0}))
    begun, _ = start_update(db, project)
    claimed = updates.claim_groups(db, begun.id)
    assert [group.id for group in claimed] == [plain.id]
    assert updates.get(db, begun.id).rating_count == 0
    told = rate(db, rated, event_id=stored.event_id)
    assert (told.used_by_update_id, told.usable) == (None, True)


def test_groups_that_do_not_replay_leave_the_update_for_good_and_say_why(db: Database) -> None:
    project = make_project(db)
    bad, good = make_group(db, project), make_group(db, project)
    stored = rate(db, bad)
    rate(db, good)
    begun, job = start_update(db, project)
    updates.claim_groups(db, begun.id)
    updates.exclude_groups(db, begun.id, [bad.id], "It does not replay.")
    assert [group.id for group in updates.groups_of(db, begun.id)] == [good.id]
    told = rate(db, bad, event_id=stored.event_id)
    assert not told.usable
    assert told.reason == "Kept, but not learned from: It does not replay."
    jobs.finish(db, job, "failed", "oops", "It failed.")
    again, _ = start_update(db, project)
    assert [group.id for group in updates.claim_groups(db, again.id)] == [good.id]


def test_updates_are_listed_oldest_first_and_paged_from_the_newest(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    for _ in range(4):
        updates.cancel(db, updates.create(db, project.id).id)
    assert [row.number for row in updates.list(db, project.id)] == [1, 2, 3, 4]
    assert [row.number for row in updates.list(db, project.id, limit=2)] == [3, 4]
    assert [row.number for row in updates.list(db, project.id, limit=2, before=3)] == [1, 2]
    with pytest.raises(NotFound):
        updates.list(db, "nowhere")
    with pytest.raises(NotFound, match="There is no update nothing"):
        updates.get(db, "nothing")
