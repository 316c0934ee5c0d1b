"""Blind pairs of two versions: made ahead, judged once, counted, and promotion that asks them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from scipy.stats import binom

from loop_studio.errors import Invalid
from loop_studio.storage import (
    groups,
    history,
    jobs,
    pairs,
    projects,
    promotion,
    prompts,
    raters,
    ratings,
    reliability,
    status,
    updates,
    versions,
)
from loop_studio.storage.database import Database
from loop_studio.storage.groups import NewImage
from loop_studio.storage.history import Filter
from loop_studio.storage.promotion import LOOKS, Waiting
from loop_studio.storage.ratings import RatingIn, RatingOut
from loop_studio.storage.schema import Group, Project, Version, new_id
from tests.storage.studio import make_group, make_project, publish, rate, skip, stored

ALL = ("group", "repeat", "pair")


def make_pair(db: Database, project: Project, tested: Version) -> Group:
    """A pair against the parent, as the worker would record it."""
    return groups.record(
        db,
        job=None,
        project_id=project.id,
        prompt_id=prompts.active(db, project.id)[0].id,
        version_id=tested.id,
        opponent_id=tested.parent_id,
        revision_id=projects.get(db, project.id).revision_id,
        images=[NewImage(i, seed=7, width=64, height=64, file=stored()) for i in range(2)],
        trajectory=None,
    )


def judge_pair(db: Database, pair: Group, points: float, rater: str = "ann") -> RatingOut:
    """1: the tested version wins; 0: its opponent; 0.5: a tie."""
    first, second = groups.images(db, pair.id)
    values: dict[str, float | None] = {first.id: points, second.id: 1.0 - points}
    return ratings.record(db, RatingIn(new_id(), pair.id, rater, "pair", values))


def published(db: Database, project: Project) -> Version:
    rate(db, make_group(db, project))
    return publish(db, project)


def rival_project(db: Database, **values: Any) -> tuple[Project, Version]:
    project = make_project(db, **{"pair_share": 0.5, **values})
    return project, published(db, project)


def next_pair(db: Database, project: Project, rater: str = "ann") -> Any:
    return groups.next_for(db, project.id, rater, (), ["pair"])


def test_pairs_are_asked_for_ahead_of_the_raters_and_only_where_they_are_wanted(
    db: Database,
) -> None:
    project, first = rival_project(db, buffer_groups=5)
    next_pair(db, project)
    next_pair(db, project)
    made = []
    while (job := jobs.claim(db, "w", kinds=["samples"])) is not None:
        if "opponent_id" in job.payload:
            made.append((job.payload["version_id"], job.payload["opponent_id"]))
    assert made == [(first.id, first.parent_id)] * 3  # half of five, rounded up
    projects.change(db, project.id, settings={"pair_share": 0.0})
    other = make_project(db, pair_share=0.5)  # only the base: nothing to compare
    for one in (project, other):
        next_pair(db, one)
        assert jobs.claim(db, "w", kinds=["samples"], project_id=one.id) is None


def test_a_pair_that_could_not_be_made_is_not_asked_for_again_at_once(db: Database) -> None:
    project, _ = rival_project(db, buffer_groups=1)
    next_pair(db, project)
    while (job := jobs.claim(db, "w", kinds=["samples"])) is not None:
        jobs.finish(db, job, "failed", "x", "It failed.")
    next_pair(db, project)
    assert jobs.claim(db, "w", kinds=["samples"]) is None


def test_a_pair_is_served_blind_to_one_rater_and_told_afterwards(db: Database) -> None:
    project, first = rival_project(db, overlap=3)
    pair = make_pair(db, project, first)
    shown = next_pair(db, project)
    assert (shown.id, shown.kind, shown.version, len(shown.images)) == (pair.id, "pair", None, 2)
    assert next_pair(db, project) == shown
    assert next_pair(db, project, "bob") is None
    assert groups.next_for(db, project.id, "bob") is None  # a client that asks for groups alone
    answer = judge_pair(db, pair, 1.0)
    assert not answer.usable
    assert "It counts for their win rate." in answer.reason
    told = groups.detail(db, pair.id, "ann")
    by_place = [told.versions[image.id] for image in groups.images(db, pair.id)]
    assert by_place == [1, 0]
    assert next_pair(db, project) is None
    found = status.status(db, project.id)
    assert (found.usable_groups, found.rated_groups) == (0, 1)


def test_the_places_of_the_two_versions_are_drawn(db: Database) -> None:
    project, first = rival_project(db)
    left = 0
    for _ in range(60):
        pair = make_pair(db, project, first)
        shown = next_pair(db, project)
        left += shown.images[0].id == groups.images(db, pair.id)[0].id
        judge_pair(db, pair, 0.5)
    low, high = binom.interval(1 - 1e-6, 60, 0.5)
    assert low <= left <= high


def test_pairs_come_as_often_as_the_settings_say(db: Database) -> None:
    project, first = rival_project(db, pair_share=0.3, repeat_share=0.0)
    kinds = []
    for _ in range(100):
        make_group(db, project)
        make_pair(db, project, first)
        shown = groups.next_for(db, project.id, "ann", (), ALL)
        assert shown is not None
        kinds.append(shown.kind)
        rate(db, groups.get(db, shown.id))
    low, high = binom.interval(1 - 1e-6, 100, 0.3)
    assert low <= kinds.count("pair") <= high


def test_pairs_fill_no_gap_but_where_no_groups_are_made_for_people(db: Database) -> None:
    project, first = rival_project(db)
    pair = make_pair(db, project, first)
    assert [groups.next_for(db, project.id, "ann", (), ALL) for _ in range(9)] == [None] * 9
    projects.set_reward(db, project.id, projects.RewardWeights(0.0, {"clip_score": 1.0}))
    shown = groups.next_for(db, project.id, "ann", (), ALL)
    assert shown is not None
    assert shown.id == pair.id


def test_a_win_rate_counts_ties_half_and_leaves_excluded_raters_out(db: Database) -> None:
    project, first = rival_project(db)
    assert pairs.win_rates(db, project.id) == {}
    for points, rater in [(1.0, "ann"), (1.0, "ann"), (0.5, "ann"), (0.0, "ann"), (0.0, "bob")]:
        judge_pair(db, make_pair(db, project, first), points, rater)
    rate = pairs.win_rates(db, project.id)[first.id]
    assert (rate.hits, rate.total) == (2.5, 5)
    bob = next(one for one in reliability.of_raters(db, project.id) if one.name == "bob")
    raters.exclude(db, project.id, bob.id, True)
    rate = pairs.win_rates(db, project.id)[first.id]
    assert (rate.hits, rate.total) == (2.5, 4)
    second = published(db, project)
    assert set(pairs.win_rates(db, project.id)) == {first.id}
    judge_pair(db, make_pair(db, project, second), 1.0)
    assert pairs.win_rates(db, project.id)[second.id].total == 1


def candidate(db: Database, **values: Any) -> tuple[Project, Version]:
    return rival_project(db, promotion="pairs", **values)


def waits(db: Database, version: Version) -> bool:
    return versions.get(db, version.id).awaits_pairs


def live(db: Database, project: Project) -> int:
    return versions.live(db, project.id).number


def test_promotion_by_pairs_needs_pairs(db: Database) -> None:
    with pytest.raises(Invalid, match="set pair_share above 0"):
        make_project(db, promotion="pairs")
    project = make_project(db, promotion="pairs", pair_share=0.1)
    with pytest.raises(Invalid, match="set pair_share above 0"):
        projects.change(db, project.id, settings={"pair_share": 0})


def test_a_new_version_waits_and_goes_live_once_pairs_prefer_it(db: Database) -> None:
    project, first = candidate(db)
    assert (live(db, project), waits(db, first)) == (0, True)
    assert updates.get(db, first.update_id or "").made_live is False
    for number in range(LOOKS[0]):
        assert live(db, project) == 0
        judge_pair(db, make_pair(db, project, first), float(number % 10 > 0))
    assert (live(db, project), waits(db, first)) == (1, False)
    assert updates.get(db, first.update_id or "").made_live is True


def test_a_worse_version_is_given_up_and_an_equal_one_after_the_last_look(db: Database) -> None:
    project, first = candidate(db)
    for _ in range(LOOKS[0]):
        judge_pair(db, make_pair(db, project, first), 0.0)
    assert (live(db, project), waits(db, first)) == (0, False)
    second = published(db, project)
    assert waits(db, second)
    draw = random.Random(1)
    points = [0.0, 1.0] * (LOOKS[-1] // 2)
    draw.shuffle(points)
    for number, point in enumerate(points):
        assert waits(db, second), number
        judge_pair(db, make_pair(db, project, second), point)
    assert (live(db, project), waits(db, second)) == (0, False)


def test_a_newer_candidate_takes_the_place_of_the_older_one(db: Database) -> None:
    project, first = candidate(db)
    second = published(db, project)
    assert second.parent_id == first.parent_id
    assert (waits(db, first), waits(db, second)) == (False, True)
    make_pair(db, project, first)
    assert next_pair(db, project) is None
    pair = make_pair(db, project, second)
    assert next_pair(db, project).id == pair.id


def test_what_a_person_makes_live_ends_the_waiting(db: Database) -> None:
    project, first = candidate(db)
    versions.activate(db, first.id)
    assert (live(db, project), waits(db, first)) == (1, False)
    versions.activate(db, first.parent_id or "")
    for _ in range(LOOKS[0]):
        judge_pair(db, make_pair(db, project, first), 1.0)
    assert live(db, project) == 0


def test_no_automatic_update_starts_while_a_candidate_is_compared(db: Database) -> None:
    project, _ = candidate(db)
    projects.change(db, project.id, settings={"auto_update_groups": 1})
    rate(db, make_group(db, project))
    assert updates.active(db, project.id) is None
    projects.change(db, project.id, settings={"promotion": "always"})
    rate(db, make_group(db, project))
    assert updates.active(db, project.id) is not None


def test_a_candidate_tells_how_many_pairs_it_waits_for(db: Database) -> None:
    project, first = candidate(db)
    assert promotion.waiting(db, project.id) == {first.id: Waiting(0, 20)}
    for _ in range(LOOKS[0]):
        judge_pair(db, make_pair(db, project, first), 0.5)
    assert promotion.waiting(db, project.id) == {first.id: Waiting(20, 40)}
    versions.activate(db, first.id)
    assert promotion.waiting(db, project.id) == {}


def test_history_tells_a_judged_pairs_versions_and_keeps_a_skipped_one_blind(db: Database) -> None:
    project, first = rival_project(db)
    judged, skipped = (make_pair(db, project, first) for _ in range(2))
    judge_pair(db, judged, 1.0)
    skip(db, skipped)
    by_id = {past.id: past for past in history.judged(db, project.id, "ann", Filter(), limit=9)}
    told = {image.id: image.version for image in by_id[judged.id].images}
    assert [told[image.id] for image in groups.images(db, judged.id)] == [1, 0]
    assert [image.version for image in by_id[skipped.id].images] == [None, None]
    assert by_id[judged.id].kind == "pair"
    numbers = [history.may_take(db, image, "ann")[1] for image in told]
    assert numbers == list(told.values())
