import threading
from datetime import timedelta

import pytest

from loop_studio.errors import NotFound
from loop_studio.storage import leases, schedules
from loop_studio.storage.database import Database
from loop_studio.storage.schema import now
from tests.storage.studio import make_project


def test_a_lease_has_one_holder_until_it_runs_out(db: Database) -> None:
    assert leases.take(db, "clock", "one", 60)
    assert leases.take(db, "clock", "one", 60)
    assert not leases.take(db, "clock", "two", 60)
    assert leases.take(db, "other", "two", 60)
    assert leases.take(db, "clock", "one", -1)
    assert leases.take(db, "clock", "two", 60)
    assert not leases.take(db, "clock", "one", 60)


def test_only_the_holder_can_release(db: Database) -> None:
    leases.take(db, "clock", "one", 60)
    leases.release(db, "clock", "two")
    assert not leases.take(db, "clock", "two", 60)
    leases.release(db, "clock", "one")
    assert leases.take(db, "clock", "two", 60)


def test_of_many_that_want_a_lease_at_once_one_gets_it(db: Database) -> None:
    got: list[bool] = []
    barrier = threading.Barrier(6)

    def take(holder: str) -> None:
        barrier.wait()
        got.append(leases.take(db, "clock", holder, 60))

    threads = [threading.Thread(target=take, args=(f"h{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]


def test_a_due_schedule_is_advanced_once_however_many_clocks_see_it(db: Database) -> None:
    project = make_project(db)
    moment = now()
    made = schedules.create(db, project.id, "update", "0 3 * * 1", moment - timedelta(hours=1))
    schedules.create(db, project.id, "update", "0 3 * * 1", moment + timedelta(hours=1))
    seen, seen_too = schedules.due(db, moment)[0], schedules.due(db, moment)[0]
    assert seen.id == made.id
    later = moment + timedelta(days=7)
    assert schedules.advance(db, seen, later)
    assert not schedules.advance(db, seen_too, later)
    assert schedules.due(db, moment) == []
    assert schedules.get(db, made.id).next_run_at == later


def test_schedules_are_listed_changed_switched_off_and_removed(db: Database) -> None:
    project = make_project(db)
    moment = now()
    made = schedules.create(db, project.id, "update", "* * * * *", moment)
    assert [row.id for row in schedules.list(db, project.id)] == [made.id]
    assert schedules.change(db, made.id, cron="0 4 * * *", enabled=False).cron == "0 4 * * *"
    assert schedules.due(db, moment + timedelta(days=1)) == []
    schedules.remove(db, made.id)
    schedules.remove(db, made.id)
    with pytest.raises(NotFound):
        schedules.get(db, made.id)
    with pytest.raises(NotFound):
        schedules.create(db, "nowhere", "update", "* * * * *", moment)
