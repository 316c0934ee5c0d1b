import threading
import time
from collections import Counter
from datetime import timedelta
from statistics import median

import pytest
from sqlalchemy import insert, select, update

from loop_studio.errors import Invalid, NotFound
from loop_studio.storage import groups, jobs, projects, raters, ratings
from loop_studio.storage.database import Database, changed
from loop_studio.storage.schema import Assignment, Group, Image, Rating, new_id, now
from tests.storage.studio import make_group, make_project, publish, rate, skip


def next_id(db: Database, project_id: str, rater: str, *exclude: str) -> str | None:
    shown = groups.next_for(db, project_id, rater, exclude)
    return shown.id if shown else None


def lapse_holds(db: Database) -> None:
    with db.write() as session:
        changed(session, update(Assignment).values(held_until=now() - timedelta(seconds=1)))


def orders(db: Database) -> list[tuple[str, ...]]:
    with db.read() as session:
        return [tuple(row.order) for row in session.scalars(select(Assignment))]


def test_the_same_group_comes_until_it_is_judged(db: Database) -> None:
    project = make_project(db)
    first, second = make_group(db, project), make_group(db, project)
    shown = groups.next_for(db, project.id, "ann")
    assert shown is not None
    assert (shown.id, shown.kind, shown.prompt, shown.version) == (
        first.id,
        "group",
        "a red fish",
        0,
    )
    assert groups.next_for(db, project.id, "ann") == shown
    rate(db, first)
    assert next_id(db, project.id, "ann") == second.id
    rate(db, second)
    assert next_id(db, project.id, "ann") is None


def test_a_group_is_held_for_ten_minutes_and_then_goes_to_others(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    assert next_id(db, project.id, "ann") == group.id
    assert next_id(db, project.id, "bob") is None
    with db.read() as session:
        held = session.scalars(select(Assignment)).one()
    assert timedelta(minutes=9, seconds=55) < held.held_until - now() <= timedelta(minutes=10)
    lapse_holds(db)
    assert next_id(db, project.id, "bob") == group.id
    assert next_id(db, project.id, "ann") is None


def test_a_rater_who_comes_back_after_the_hold_gets_the_same_order(db: Database) -> None:
    project = make_project(db)
    make_group(db, project)
    shown = groups.next_for(db, project.id, "ann")
    lapse_holds(db)
    assert groups.next_for(db, project.id, "ann") == shown
    assert next_id(db, project.id, "bob") is None


def test_excluded_groups_are_prefetched_past_and_come_back_in_order(db: Database) -> None:
    project = make_project(db)
    made = [make_group(db, project).id for _ in range(3)]
    assert next_id(db, project.id, "ann") == made[0]
    assert next_id(db, project.id, "ann", made[0]) == made[1]
    assert next_id(db, project.id, "ann", made[0], made[1]) == made[2]
    assert next_id(db, project.id, "ann", *made) is None
    assert next_id(db, project.id, "ann") == made[0]
    assert next_id(db, project.id, "ann", made[0]) == made[1]


def test_overlap_asks_that_many_raters_and_a_skip_counts_for_none(db: Database) -> None:
    project = make_project(db, overlap=2)
    group = make_group(db, project)
    assert next_id(db, project.id, "ann") == group.id
    assert next_id(db, project.id, "bob") == group.id
    assert next_id(db, project.id, "cat") is None
    skip(db, group, "bob")
    assert next_id(db, project.id, "bob") is None
    assert next_id(db, project.id, "cat") == group.id
    rate(db, group, "ann")
    rate(db, group, "cat")
    assert next_id(db, project.id, "dan") is None
    assert groups.get(db, group.id).judged_by == 2


def test_a_skipped_group_goes_to_others_and_never_back(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    next_id(db, project.id, "ann")
    skipped = skip(db, group, "ann")
    assert (skipped.usable, skipped.reason) == (False, "Skipped: nothing was judged.")
    assert next_id(db, project.id, "ann") is None
    assert next_id(db, project.id, "bob") == group.id


def test_the_live_version_comes_first_and_others_only_while_it_has_none(db: Database) -> None:
    project = make_project(db)
    taught, old = make_group(db, project), make_group(db, project)
    rate(db, taught)
    published = publish(db, project)
    assert published.number == 1
    new = make_group(db, project)
    shown = groups.next_for(db, project.id, "ann")
    assert shown is not None
    assert (shown.id, shown.version) == (new.id, 1)
    assert next_id(db, project.id, "bob") == old.id
    rate(db, new)
    lapse_holds(db)
    assert next_id(db, project.id, "ann") == old.id
    newer = make_group(db, project)
    lapse_holds(db)
    assert next_id(db, project.id, "ann") == newer.id


def test_what_is_undone_comes_next_the_last_one_first(db: Database) -> None:
    project = make_project(db)
    made = [make_group(db, project) for _ in range(4)]
    events = [rate(db, group) for group in made[:2]]
    assert next_id(db, project.id, "ann") == made[2].id
    ratings.undo(db, events[1].event_id)
    assert next_id(db, project.id, "ann") == made[1].id
    ratings.undo(db, events[0].event_id)
    assert next_id(db, project.id, "ann") == made[0].id
    assert next_id(db, project.id, "ann", made[0].id) == made[1].id
    assert next_id(db, project.id, "bob") == made[3].id
    rate(db, made[0])
    rate(db, made[1])
    assert next_id(db, project.id, "ann") == made[2].id


def test_an_undone_group_comes_back_even_after_an_update_has_used_it(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    event = rate(db, group)
    publish(db, project)
    make_group(db, project)
    ratings.undo(db, event.event_id)
    assert next_id(db, project.id, "ann") == group.id


def test_retired_groups_are_not_served_even_to_those_who_hold_them(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    assert next_id(db, project.id, "ann") == group.id
    projects.change(db, project.id, settings={"num_inference_steps": 10})
    assert next_id(db, project.id, "ann") is None


def test_the_order_is_shuffled_per_rater_and_recorded(db: Database) -> None:
    project = make_project(db, overlap=20, group_size=6)
    group = make_group(db, project)
    shown = {}
    for number in range(20):
        answer = groups.next_for(db, project.id, f"rater {number}")
        assert answer is not None
        shown[number] = tuple(image.id for image in answer.images)
    assert orders(db) == [shown[number] for number in range(20)]
    assert len(set(shown.values())) > 10
    ids = {image.id for image in groups.images(db, group.id)}
    assert all(set(order) == ids for order in shown.values())
    assert len({order[0] for order in shown.values()}) > 2


def test_concurrent_raters_never_get_the_same_group(db: Database) -> None:
    project = make_project(db)
    for _ in range(6):
        make_group(db, project)
    served: list[str | None] = []
    barrier = threading.Barrier(8)

    def ask(rater: str) -> None:
        barrier.wait()
        served.append(next_id(db, project.id, rater))

    threads = [threading.Thread(target=ask, args=(f"r{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = Counter(served)
    assert counts.pop(None) == 2
    assert list(counts.values()) == [1] * 6


def test_serving_refills_the_buffer_for_the_live_version(db: Database) -> None:
    project = make_project(db, buffer_groups=2)
    assert next_id(db, project.id, "ann") is None
    first, second = jobs.claim(db, "w"), jobs.claim(db, "w")
    assert first is not None
    assert second is not None
    assert jobs.claim(db, "w") is None
    assert {first.kind, second.kind} == {"rollout"}
    make_group(db, project, job=first)
    make_group(db, project, job=second)
    assert next_id(db, project.id, "ann") is not None
    third = jobs.claim(db, "w")
    assert third is not None
    make_group(db, project, job=third)
    assert next_id(db, project.id, "ann") is not None
    assert jobs.claim(db, "w") is None


@pytest.mark.parametrize("rater", ["", "   ", "x" * 81])
def test_a_rater_has_a_name(db: Database, rater: str) -> None:
    project = make_project(db)
    with pytest.raises(Invalid, match="1 to 80 characters"):
        groups.next_for(db, project.id, rater)


def test_an_unknown_project_is_not_found(db: Database) -> None:
    with pytest.raises(NotFound, match="There is no project nowhere"):
        groups.next_for(db, "nowhere", "ann")


def many_groups(db: Database, count: int, rater: str) -> str:
    """A project of `count` groups; `rater` has judged all but the last ten, another may too."""
    project = make_project(db, overlap=2)
    like = make_group(db, project)
    rate(db, like, rater)
    ids = [new_id() for _ in range(count)]
    with db.write() as session:
        person = raters.named(session, project.id, rater)
        made = {"project_id": project.id, "prompt_id": like.prompt_id}
        made |= {"version_id": like.version_id, "revision_id": like.revision_id}
        drawn = {"prompt": "p", "seed": 1, "width": 9, "height": 9, "sha256": "", "size": 1}
        gone = {"project_id": project.id, "rater_id": person.id, "mode": "good", "judgement": {}}
        gone |= {"content_sha256": "", "usable": True, "reason": ""}
        session.execute(
            insert(Group),
            [{**made, "id": i, "judged_by": int(n < count - 10)} for n, i in enumerate(ids)],
        )
        session.execute(
            insert(Image),
            [{**drawn, "group_id": i, "position": p, "key": i} for i in ids for p in range(4)],
        )
        session.execute(
            insert(Rating), [{**gone, "event_id": i, "group_id": i} for i in ids[: count - 10]]
        )
    return project.id


def seconds(db: Database, project_id: str) -> list[float]:
    """CPU seconds of a few calls: a busy machine is not a slow query."""
    times = []
    for _ in range(8):
        for rater in ("ann", "bob"):
            started = time.thread_time()
            assert next_id(db, project_id, rater) is not None
            times.append(time.thread_time() - started)
    return times


def test_the_next_group_of_two_thousand_takes_a_few_milliseconds(db: Database) -> None:
    few, many = many_groups(db, 20, "ann"), many_groups(db, 2000, "ann")
    of_few, of_many = seconds(db, few), seconds(db, many)
    assert min(of_many) < 0.010
    assert median(of_many) < 3 * median(of_few)
