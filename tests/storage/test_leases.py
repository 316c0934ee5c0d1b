import threading

from loop_studio.storage import leases
from loop_studio.storage.database import Database


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
