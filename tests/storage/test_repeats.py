"""Hidden repeats: the same pictures again, in another order, under new ids; they teach nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from scipy.stats import binom

from loop_studio.storage import exporting, groups, ratings, reliability, status
from loop_studio.storage.database import Database
from loop_studio.storage.groups import ShownGroup
from loop_studio.storage.ratings import RatingIn, RatingOut
from loop_studio.storage.repeats import LEAST_SINCE
from loop_studio.storage.schema import Group, Project, new_id
from tests.storage.studio import make_group, make_project, rate, skip

ALL = ("group", "repeat", "pair")


def keys_in_order(db: Database, shown: ShownGroup) -> list[str]:
    return [groups.image(db, image.id).key for image in shown.images]


def judged_first(db: Database, project: Project, count: int) -> dict[str, ShownGroup]:
    """Groups that ann was shown and judged, the first picture shown as the best."""
    seen = {}
    for _ in range(count):
        make_group(db, project)
        shown = groups.next_for(db, project.id, "ann")
        assert shown is not None
        seen[shown.id] = shown
        answer(db, shown)
    return seen


def answer(db: Database, shown: ShownGroup, best: int = 0) -> RatingOut:
    values = {image.id: float(place == best) for place, image in enumerate(shown.images)}
    return ratings.record(db, RatingIn(new_id(), shown.id, "ann", "best", dict(values)))


def repeat(
    db: Database, project: Project, rater: str = "ann", exclude: Sequence[str] = ()
) -> ShownGroup | None:
    return groups.next_for(db, project.id, rater, exclude, ["repeat"])


def original(db: Database, shown: ShownGroup) -> str:
    return groups.get(db, shown.id).repeat_of_id or ""


def test_a_repeat_shows_the_same_files_under_new_ids_in_another_order(db: Database) -> None:
    project = make_project(db)
    seen = judged_first(db, project, LEAST_SINCE + 1)
    shown = repeat(db, project)
    assert shown is not None
    assert (shown.kind, shown.version) == ("repeat", None)
    before = seen[original(db, shown)]
    assert before.id == next(iter(seen))
    assert shown.prompt == before.prompt
    assert sorted(keys_in_order(db, shown)) == sorted(keys_in_order(db, before))
    assert keys_in_order(db, shown) != keys_in_order(db, before)
    assert not {image.id for image in shown.images} & {image.id for image in before.images}
    assert repeat(db, project) == shown


@pytest.mark.parametrize("size", [2, 3])
def test_the_order_differs_however_few_pictures_there_are(db: Database, size: int) -> None:
    project = make_project(db, group_size=size)
    seen = judged_first(db, project, LEAST_SINCE + 12)
    for _ in range(12):
        shown = repeat(db, project)
        assert shown is not None
        assert keys_in_order(db, shown) != keys_in_order(db, seen[original(db, shown)])
        answer(db, shown)
    assert repeat(db, project) is None


def test_a_group_comes_again_once_to_its_rater_alone_and_only_after_ten_others(
    db: Database,
) -> None:
    project = make_project(db)
    judged_first(db, project, LEAST_SINCE)
    assert repeat(db, project) is None
    skip(db, make_group(db, project))
    assert repeat(db, project) is None
    rate(db, make_group(db, project))
    shown = repeat(db, project)
    assert shown is not None
    assert repeat(db, project, "bob") is None
    assert repeat(db, project, exclude=[shown.id]) is None
    answer(db, shown)
    assert repeat(db, project) is None


def test_a_repeat_teaches_nothing_and_is_progress_towards_nothing(db: Database) -> None:
    project = make_project(db)
    judged_first(db, project, LEAST_SINCE + 1)
    before = status.status(db, project.id)
    shown = repeat(db, project)
    assert shown is not None
    stored = answer(db, shown, best=1)
    assert not stored.usable
    assert stored.reason.startswith("Kept, but not learned from: you have judged these pictures")
    after = status.status(db, project.id)
    assert (after.usable_groups, after.rated_groups) == (before.usable_groups, before.rated_groups)
    assert after.ready_groups == before.ready_groups
    assert after.ratings == before.ratings + 1
    assert list(exporting.rows(db, project.id))[-1].kind == "repeat"
    undone = ratings.undo(db, stored.event_id)
    assert undone.status == "undone"
    assert groups.next_for(db, project.id, "ann", (), ALL) == shown


def test_self_consistency_is_the_share_of_repeats_with_the_same_best_picture(db: Database) -> None:
    project = make_project(db)
    seen = judged_first(db, project, LEAST_SINCE + 4)
    for number in range(4):
        shown = repeat(db, project)
        assert shown is not None
        first = keys_in_order(db, seen[original(db, shown)])[0]
        at = keys_in_order(db, shown).index(first)
        answer(db, shown, best=at if number else (at + 1) % 4)
    [ann] = reliability.of_raters(db, project.id)
    assert (ann.self_consistency.hits, ann.self_consistency.total) == (3.0, 4)
    assert ann.self_consistency.interval() == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_repeats_come_as_often_as_the_settings_say(db: Database) -> None:
    project = make_project(db, repeat_share=0.3, overlap=2)
    judged_first(db, project, LEAST_SINCE + 20)
    kinds = []
    for _ in range(100):
        make_group(db, project)
        shown = groups.next_for(db, project.id, "ann", (), ALL)
        assert shown is not None
        kinds.append(shown.kind)
        answer(db, shown)
    # Outside of this interval once in a million runs: the draw has no seed, on purpose.
    low, high = binom.interval(1 - 1e-6, 100, 0.3)
    assert low <= kinds.count("repeat") <= high
    assert "pair" not in kinds


def test_no_repeat_comes_where_none_is_wanted_or_a_group_is_waited_for(db: Database) -> None:
    project = make_project(db, repeat_share=0.0)
    judged_first(db, project, LEAST_SINCE + 1)
    assert repeat(db, project) is None
    other = make_project(db, repeat_share=0.5)
    judged_first(db, other, LEAST_SINCE + 1)
    assert [groups.next_for(db, other.id, "ann", (), ALL) for _ in range(20)] == [None] * 20
    with db.read() as session:
        assert session.query(Group).where(Group.kind == "repeat").count() == 0
