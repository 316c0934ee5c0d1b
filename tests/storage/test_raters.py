"""Several raters: excluding one derives what judgements are worth anew and deletes nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import event, select

from loop_studio.errors import NotFound
from loop_studio.storage import (
    exporting,
    groups,
    jobs,
    raters,
    ratings,
    reliability,
    status,
    updates,
    versions,
)
from loop_studio.storage.database import Database
from loop_studio.storage.schema import Group, Project, Rater, Rating
from loop_studio.storage.worth import refresh
from tests.storage.studio import (
    judge,
    make_group,
    make_project,
    publish,
    rate,
    shares_of_none,
    skip,
    start_update,
)


def rater_id(db: Database, name: str) -> str:
    with db.read() as session:
        return session.scalars(select(Rater.id).where(Rater.name == name)).one()


def exclude(db: Database, project: Project, name: str, excluded: bool = True) -> None:
    raters.exclude(db, project.id, rater_id(db, name), excluded)


def worths(db: Database) -> list[tuple[bool, str]]:
    with db.read() as session:
        rows = session.scalars(select(Rating).order_by(Rating.sequence))
        return [(row.usable, row.reason) for row in rows]


def test_excluding_a_rater_takes_their_signal_away_and_gives_it_back_unchanged(
    db: Database,
) -> None:
    project = make_project(db, overlap=2)
    both, alone = make_group(db, project), make_group(db, project)
    rate(db, both, "ann")
    rate(db, both, "bob", best=1)
    rate(db, alone, "bob")
    before, taught = worths(db), updates.judgements(db, [both.id, alone.id])
    assert status.status(db, project.id).usable_groups == 2

    exclude(db, project, "bob")
    assert [usable for usable, _ in worths(db)] == [True, False, False]
    assert worths(db)[1][1] == "Kept, but not learned from: this rater is excluded."
    assert status.status(db, project.id).usable_groups == 1
    assert status.status(db, project.id).ratings == 3
    assert len(list(exporting.rows(db, project.id))) == 3
    assert [row.rater_id for row in updates.judgements(db, [both.id, alone.id])] == [
        rater_id(db, "ann")
    ]

    exclude(db, project, "bob", False)
    assert worths(db) == before
    assert updates.judgements(db, [both.id, alone.id]) == taught


def test_a_group_that_only_an_excluded_rater_judged_goes_to_others_but_not_back(
    db: Database,
) -> None:
    project = make_project(db)
    group = make_group(db, project)
    rate(db, group, "bob")
    assert groups.next_for(db, project.id, "ann") is None
    exclude(db, project, "bob")
    assert groups.get(db, group.id).judged_by == 0
    assert groups.next_for(db, project.id, "bob") is None
    shown = groups.next_for(db, project.id, "ann")
    assert shown is not None
    assert shown.id == group.id


def test_an_excluded_rater_goes_on_judging_and_is_told_that_it_teaches_nothing(
    db: Database,
) -> None:
    project = make_project(db)
    rate(db, make_group(db, project), "bob")
    exclude(db, project, "bob")
    later = rate(db, make_group(db, project), "bob")
    assert (later.usable, later.reason) == worths(db)[0]
    assert later.rewards
    assert status.status(db, project.id).usable_groups == 0


def test_what_an_update_has_used_stays_used_and_what_it_gives_back_is_weighed_anew(
    db: Database,
) -> None:
    project = make_project(db)
    group = make_group(db, project)
    event = rate(db, group, "bob")
    update, job = start_update(db, project)
    updates.claim_groups(db, update.id)
    exclude(db, project, "bob")
    [row] = exporting.rows(db, project.id)
    assert (row.usable, row.used_by_update_id) == (True, update.id)
    assert [one.rewards for one in updates.judgements(db, [group.id])] == [event.rewards]
    jobs.finish(db, job, "failed", "x", "It failed.")
    assert worths(db) == [(False, "Kept, but not learned from: this rater is excluded.")]


def test_an_excluded_rater_is_left_out_of_the_share_of_groups_with_nothing_good(
    db: Database,
) -> None:
    project = make_project(db)
    rate(db, make_group(db, project), "bob")
    judge(db, make_group(db, project), "best", [0, 0, 0, 0])
    base = versions.live(db, project.id).id
    assert shares_of_none(db, project) == {base: 0.5}
    exclude(db, project, "bob")
    assert shares_of_none(db, project) == {base: 1.0}
    exclude(db, project, "ann")
    assert shares_of_none(db, project) == {}


def snapshot(db: Database) -> list[Any]:
    """What every judgement and every group is worth now."""
    with db.read() as session:
        of_ratings = select(Rating.sequence, Rating.usable, Rating.reason)
        of_groups = select(Group.id, Group.judged_by, Group.usable).order_by(Group.id)
        told = [*session.execute(of_ratings.order_by(Rating.sequence)), *session.execute(of_groups)]
        return [tuple(row) for row in told]


def weigh_one_by_one(db: Database) -> None:
    with db.write() as session:
        for group in session.scalars(select(Group)):
            refresh(session, group)


def judge_at_random(db: Database, project: Project, draw: random.Random) -> None:
    """Two raters on groups of every kind and state, with every kind of gesture."""
    for number in range(30):
        group = make_group(db, project)
        for name in draw.choice([["bob"], ["ann", "bob"], ["ann", "bob", "bob"]]):
            values = draw.choice([[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0.5, 0], None])
            told = (
                skip(db, group, name) if values is None else judge(db, group, "best", values, name)
            )
            if draw.random() < 0.2:
                ratings.undo(db, told.event_id)
        with db.write() as session:
            row = session.get_one(Group, group.id)
            row.kind = draw.choice(["group", "group", "group", "repeat", "pair"])
            row.retired_reason = draw.choice([None, None, "It is old."])
            refresh(session, row)
        if number == 10:
            update, _ = start_update(db, project)
            updates.claim_groups(db, update.id)


@pytest.mark.parametrize("seed", range(3))
def test_excluding_at_once_is_worth_what_each_group_alone_would_be(db: Database, seed: int) -> None:
    project = make_project(db, overlap=3)
    judge_at_random(db, project, random.Random(seed))
    before = snapshot(db)
    for excluded in (True, False):
        exclude(db, project, "bob", excluded)
        at_once = snapshot(db)
        assert (at_once == before) is not excluded
        weigh_one_by_one(db)
        assert at_once == snapshot(db)


def test_excluding_holds_the_others_up_no_longer_for_many_groups_than_for_few(
    db: Database,
) -> None:
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    counts = []
    for many in (3, 40):
        project = make_project(db)
        name = f"rater of {many}"
        for _ in range(many):
            rate(db, make_group(db, project), name)
        for excluded in (True, False):
            statements.clear()
            exclude(db, project, name, excluded)
            counts.append(len(statements))
            assert all(usable is not excluded for usable, _ in worths(db)[-many:])
    assert counts[:2] == counts[2:]
    assert max(counts) < 12


def test_a_rater_of_another_project_is_not_found(db: Database) -> None:
    project, other = make_project(db), make_project(db)
    rate(db, make_group(db, project), "bob")
    with pytest.raises(NotFound, match="no rater"):
        raters.exclude(db, other.id, rater_id(db, "bob"), True)
    with pytest.raises(NotFound):
        raters.exclude(db, project.id, "nobody", True)
    assert worths(db)[0][0]


def rate_many(db: Database, project: Project, count: int, flips: dict[str, float]) -> None:
    """Every rater picks picture 0, but for a share of `flips` another one; a fixed seed."""
    draw = random.Random(7)
    for _ in range(count):
        group = make_group(db, project)
        for name, share in flips.items():
            rate(db, group, name, best=draw.randint(1, 3) if draw.random() < share else 0)


def view(db: Database, project: Project, name: str) -> Any:
    by_name = {one.name: one for one in reliability.of_raters(db, project.id)}
    return by_name[name]


def test_agreement_is_counted_per_group_and_leaves_excluded_raters_out(db: Database) -> None:
    project = make_project(db, overlap=3)
    rate_many(db, project, 40, {"ann": 0.0, "bob": 0.0, "eve": 1.0})
    found = reliability.agreement(db, project.id)
    assert (found.best_picture.value, found.best_picture.total) == (pytest.approx(1 / 3), 40)
    [measure] = found.measures
    assert (measure.name, measure.level, measure.groups) == ("best_picture", "nominal", 40)
    assert measure.alpha is not None
    assert measure.alpha < 0.3
    assert view(db, project, "ann").agreement.value == 0.5
    assert view(db, project, "eve").agreement.value == 0.0
    exclude(db, project, "eve")
    found = reliability.agreement(db, project.id)
    assert found.best_picture.value == 1.0
    assert view(db, project, "ann").agreement.value == 1.0
    assert view(db, project, "eve").agreement.value == 0.0


def test_an_alpha_waits_for_enough_groups_and_skips_and_lone_judgements_count_for_none(
    db: Database,
) -> None:
    project = make_project(db, overlap=2)
    rate_many(db, project, reliability.LEAST_GROUPS - 1, {"ann": 0.5, "bob": 0.5})
    group = make_group(db, project)
    rate(db, group, "ann")
    skip(db, group, "bob")
    [measure] = reliability.agreement(db, project.id).measures
    assert (measure.alpha, measure.groups) == (None, reliability.LEAST_GROUPS - 1)
    rate(db, group, "bob")
    [measure] = reliability.agreement(db, project.id).measures
    assert measure.alpha is not None
    assert measure.groups == reliability.LEAST_GROUPS


def test_stars_are_compared_by_their_order_and_by_the_best_picture(db: Database) -> None:
    project = make_project(db, overlap=2)
    draw = random.Random(3)
    for _ in range(reliability.LEAST_GROUPS):
        group, shift = make_group(db, project), draw.randint(0, 1)
        stars = draw.sample([1.0, 2.0, 3.0, 4.0], 4)
        judge(db, group, "stars", stars, "ann")
        judge(db, group, "stars", [value + shift for value in stars], "bob")
    found = reliability.agreement(db, project.id)
    by_name = {measure.name: measure for measure in found.measures}
    assert set(by_name) == {"best_picture", "stars"}
    assert by_name["stars"].level == "ordinal"
    assert 0.6 < (by_name["stars"].alpha or 0) < 1.0
    assert by_name["best_picture"].alpha == 1.0


def test_pace_is_the_median_of_what_was_timed(db: Database) -> None:
    project = make_project(db)
    for elapsed in (1000, 3000, 50_000, None):
        group = make_group(db, project)
        best = {image.id: float(image.position == 0) for image in groups.images(db, group.id)}
        event = ratings.RatingIn(f"e{elapsed}", group.id, "ann", "best", best, None, elapsed)
        ratings.record(db, event)
    publish(db, project)
    assert view(db, project, "ann").pace_s == 3.0
    assert view(db, project, "ann").ratings == 4
