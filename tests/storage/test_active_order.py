"""Which group comes next when reward models disagree, and what is drawn at random."""

from __future__ import annotations

import time
from statistics import median

import pytest
from sqlalchemy import insert, select, update

from loop_studio.storage import groups, learned, serving
from loop_studio.storage.database import Database, changed
from loop_studio.storage.schema import Assignment, Group, Image, Project, new_id
from tests.storage.studio import make_group, make_project, publish, rate
from tests.storage.test_serving import lapse_holds, next_id


class Draws:
    """In place of chance: the numbers that decide on repeats, pairs and random groups."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number

    def shuffle(self, order: list[str]) -> None:
        order.reverse()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Draws:
    """Never at random, until a test says otherwise."""
    draws = Draws(0.99)
    monkeypatch.setattr(serving, "_draw", draws)
    return draws


def told(db: Database, *nats: float) -> tuple[Project, list[str]]:
    """A project with a group for each number, that says what it would tell."""
    project = make_project(db, repeat_share=0.0)
    made = [make_group(db, project).id for _ in nats]
    learned.set_informativeness(db, dict(zip(made, nats, strict=True)))
    return project, made


def flags(db: Database) -> dict[str, bool]:
    with db.read() as session:
        return {row.group_id: row.at_random for row in session.scalars(select(Assignment))}


def test_the_group_that_tells_most_comes_first_and_is_no_fair_sample(db, drawn) -> None:
    project, made = told(db, 0.1, 0.7, 0.0, 0.4)
    order = []
    for _ in made:
        shown = next_id(db, project.id, "ann", *order)
        assert shown is not None
        order.append(shown)
    assert order == [made[1], made[3], made[0], made[2]]
    # The last one came because it was the oldest, whatever it shows.
    assert flags(db) == {made[1]: False, made[3]: False, made[0]: False, made[2]: True}


def test_where_no_model_disagrees_the_oldest_comes_and_is_a_fair_sample(db, drawn) -> None:
    project, made = told(db, 0.0, 0.0)
    assert next_id(db, project.id, "ann") == made[0]
    assert flags(db) == {made[0]: True}


def test_the_live_version_comes_before_what_tells_most(db, drawn) -> None:
    project, made = told(db, 0.9, 0.8)
    rate(db, groups.get(db, made[0]))
    publish(db, project)
    new = make_group(db, project)
    assert next_id(db, project.id, "ann") == new.id
    assert next_id(db, project.id, "ann", new.id) == made[1]


def test_a_group_that_is_shown_stays_whatever_is_learned_meanwhile(db, drawn) -> None:
    project, made = told(db, 0.1, 0.7)
    assert next_id(db, project.id, "ann") == made[1]
    learned.set_informativeness(db, {made[0]: 0.9, made[1]: 0.0})
    assert next_id(db, project.id, "ann") == made[1]
    drawn.number = 0.0
    lapse_holds(db)
    shown = next_id(db, project.id, "ann")
    assert flags(db)[made[1]] is False
    assert shown in made


def test_what_was_judged_never_comes_again(db, drawn) -> None:
    project, made = told(db, 0.1, 0.7)
    rate(db, groups.get(db, made[1]))
    assert next_id(db, project.id, "ann") == made[0]


def test_one_in_four_is_drawn_at_random_and_flagged(db) -> None:
    """60 servings with real chance: 15 expected; fewer than 5 or more than 28 once in 10,000."""
    project, made = told(db, *(0.5 + 0.001 * n for n in range(120)))
    for _ in range(60):
        lapse_holds(db)
        assert next_id(db, project.id, new_id()) is not None
    by_group = flags(db)
    assert 5 <= sum(by_group.values()) <= 28
    ranks = [made.index(group) for group, at_random in by_group.items() if at_random]
    assert min(ranks) < 60  # not only the most telling
    surest = [made.index(group) for group, at_random in by_group.items() if not at_random]
    assert min(surest) >= 120 - 60 - len(ranks)


def test_a_random_draw_reaches_every_free_group(db, drawn, monkeypatch) -> None:
    """An id is drawn; the free group with the next one comes, after the last the first."""
    project, made = told(db, 0.5, 0.4, 0.3)
    drawn.number = 0.0
    for id_drawn, wanted in [*((id, id) for id in made), ("f" * 20, min(made))]:
        monkeypatch.setattr(serving, "new_id", lambda id_drawn=id_drawn: id_drawn)
        assert next_id(db, project.id, f"rater {id_drawn}") == wanted
        lapse_holds(db)
    assert all(flags(db).values())


def test_nobody_hoards_while_others_are_here(db) -> None:
    """Six groups, two raters: three each, however far ahead a client asks."""
    project = make_project(db)
    for _ in range(6):
        make_group(db, project)
    assert next_id(db, project.id, "bob") is not None
    mine: list[str] = []
    while (shown := next_id(db, project.id, "ann", *mine)) is not None:
        mine.append(shown)
    assert len(mine) == 3
    assert next_id(db, project.id, "ann") == mine[0]
    rate(db, groups.get(db, mine[0]))
    assert next_id(db, project.id, "ann") == mine[1]


def test_who_is_alone_may_have_all(db) -> None:
    project = make_project(db)
    made = [make_group(db, project).id for _ in range(6)]
    mine: list[str] = []
    while (shown := next_id(db, project.id, "ann", *mine)) is not None:
        mine.append(shown)
    assert mine == made


def pool(db: Database, count: int) -> str:
    """A project of `count` open groups, all of which tell something; two raters are here."""
    project = make_project(db, overlap=2)
    like = make_group(db, project)
    ids = [new_id() for _ in range(count)]
    same = {"project_id": project.id, "prompt_id": like.prompt_id}
    same |= {"version_id": like.version_id, "revision_id": like.revision_id}
    drawn = {"prompt": "p", "seed": 1, "width": 9, "height": 9, "sha256": "", "size": 1}
    with db.write() as session:
        telling = [{**same, "id": i, "informativeness": 1 + n / count} for n, i in enumerate(ids)]
        session.execute(insert(Group), telling)
        session.execute(
            insert(Image),
            [{**drawn, "group_id": i, "position": p, "key": i} for i in ids for p in range(4)],
        )
    return project.id


def seconds(db: Database, project_id: str) -> list[float]:
    """CPU seconds of new groups for two raters: a busy machine is not a slow query."""
    times = []
    for _ in range(10):
        for rater in ("ann", "bob"):
            started = time.thread_time()
            assert next_id(db, project_id, rater) is not None
            times.append(time.thread_time() - started)
        with db.write() as session:
            changed(session, update(Assignment).values(held_until=Assignment.shown_at))
    return times


def test_the_next_of_ten_thousand_takes_no_longer_than_of_a_hundred(db) -> None:
    few, many = pool(db, 100), pool(db, 10_000)
    of_few, of_many = seconds(db, few), seconds(db, many)
    assert median(of_many) < 3 * median(of_few)
    assert sorted(of_many)[-2] < 0.05
