"""A reward learned from ratings, through the real worker, features, fits and updates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from loop_studio.errors import Refused
from loop_studio.jobs import learned as job_learned
from loop_studio.jobs import pictures
from loop_studio.jobs.score import score_images
from loop_studio.jobs.sources import counting, source_of
from loop_studio.judgement import LEARNED
from loop_studio.storage import (
    groups,
    learned,
    projects,
    raters,
    ratings,
    reliability,
    scores,
    serving,
    status,
    updates,
)
from loop_studio.storage.files import StoredFile, new_key
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.ratings import RatingIn
from loop_studio.storage.schema import RewardFit
from tests.browser.studio import picture
from tests.jobs.conftest import Desk

MIX = RewardWeights(1.0, {LEARNED: 0.5})


def brightness(desk: Desk, group_id: str) -> dict[str, float]:
    files = desk.worker.bench.files
    return {
        image.id: float(np.asarray(pictures.opened(files, image.key)).mean())
        for image in groups.images(desk.db, group_id)
    }


def draw(desk: Desk, count: int, first: int = 0) -> list[str]:
    """Groups with pictures that differ in a thing one can like: a dark ground or a light one.

    Their trajectories are those of a group that the tiny model made, and replay as it does.
    """
    groups.next_for(desk.db, desk.project.id, "ann")
    desk.work()
    made = groups.get(desk.db, learned.open_groups(desk.db, desk.project.id)[-1])
    assert made.trajectory_key is not None
    assert made.trajectory_sha256 is not None
    assert made.trajectory_size is not None
    path = StoredFile(made.trajectory_key, made.trajectory_sha256, made.trajectory_size)
    drawn = []
    for group in range(first, first + count):
        images = [
            groups.NewImage(p, seed, 64, 64, desk.files.put(new_key(".png"), picture(seed)))
            for p, seed in enumerate(range(4 * group, 4 * group + 4))
        ]
        recorded = groups.record(
            desk.db,
            None,
            desk.project.id,
            made.prompt_id,
            made.version_id,
            made.revision_id,
            images,
            path,
        )
        drawn.append(recorded.id)
    return drawn


def rate_dark(desk: Desk, group_ids: Sequence[str], rater: str = "ann") -> None:
    """The darkest picture is the best."""
    for group_id in group_ids:
        seen = brightness(desk, group_id)
        best = min(seen, key=seen.__getitem__)
        judgement = {image: float(image == best) for image in seen}
        event = RatingIn(f"{rater}-{group_id}", group_id, rater, "best", judgement)
        ratings.record(desk.db, event)


@pytest.fixture
def taught(desk: Desk) -> Desk:
    """A desk whose rater has judged 16 groups by darkness; all that waited is done."""
    change = {"repeat_share": 0.0, "max_groups_per_update": 18}
    projects.change(desk.db, desk.project.id, settings=change)
    drawn = draw(desk, 16)
    hold_fairly(desk, drawn)
    rate_dark(desk, drawn)
    desk.work()
    return desk


def hold_fairly(desk: Desk, group_ids: Sequence[str]) -> None:
    """As if each was served at random, without asking for all that are older."""
    with desk.db.write() as session:
        ann = raters.named(session, desk.project.id, "ann")
        for group_id in group_ids:
            serving.hold(session, groups.get(desk.db, group_id), ann, at_random=True)


def in_force(desk: Desk) -> RewardFit:
    found = learned.in_force(desk.db, desk.project.id)
    assert found is not None
    return found


def test_ratings_teach_a_reward_that_proves_itself_and_orders_new_groups(taught: Desk) -> None:
    fit = in_force(taught)
    assert fit.ratings == fit.groups == fit.validation["held_out"] == 16
    assert fit.validation["accuracy"] > 0.65
    assert (fit.contributes, fit.sentence) == (True, "")
    bench = taught.worker.bench
    source = source_of(bench, taught.project.id, LEARNED, {})
    right = []
    for group_id in draw(taught, 8, first=100):
        found = score_images(bench, source, groups.images(taught.db, group_id))
        seen = brightness(taught, group_id)
        darkest = min(seen, key=seen.__getitem__)
        right += [found[darkest] > found[other] for other in found if other != darkest]
        kept = scores.of_images(taught.db, list(found), LEARNED, f"fit-{fit.number}")
        assert kept == found
    assert np.mean(right) > 0.65


def test_the_same_ratings_give_the_same_reward_and_new_groups_are_appraised(taught: Desk) -> None:
    bench = taught.worker.bench
    first = job_learned.unpack(bench, in_force(taught))
    again = job_learned.unpack(bench, job_learned.refit(bench, taught.project.id))
    assert np.array_equal(again.weights, first.weights)
    groups.next_for(taught.db, taught.project.id, "bob")
    taught.work()
    open_now = learned.open_groups(taught.db, taught.project.id)
    assert open_now
    assert all(groups.get(taught.db, group_id).informativeness > 0 for group_id in open_now)


def test_an_update_is_filled_up_with_groups_that_the_learned_reward_judges(taught: Desk) -> None:
    """It may take 18: the 16 that people judged, by them alone, and two that nobody did."""
    projects.set_reward(taught.db, taught.project.id, MIX)
    update = updates.create(taught.db, taught.project.id)
    taught.work()
    update = updates.get(taught.db, update.id)
    assert (update.status, update.group_count) == ("succeeded", 18)
    by_group: dict[str, set[str]] = {}
    for row in updates.inputs(taught.db, update.id):
        by_group.setdefault(row.group_id, set()).add(row.source)
    assert sorted(map(sorted, by_group.values())) == [["human"]] * 16 + [["learned"]] * 2
    assert update.source_scales.keys() == {LEARNED}
    pushes = [row for row in updates.inputs(taught.db, update.id) if row.source == LEARNED]
    assert {(row.mode, row.rater_id) for row in pushes} == {("score", None)}
    assert sum(row.advantage for row in pushes) == pytest.approx(0, abs=1e-9)
    ready = status.status(taught.db, taught.project.id).ready_groups
    assert ready >= 2  # the raters' own were left to them


def test_alone_it_makes_and_judges_the_groups_it_lacks(taught: Desk) -> None:
    projects.set_reward(taught.db, taught.project.id, RewardWeights(0.0, {LEARNED: 1.0}))
    reason = status.status(taught.db, taught.project.id).generation_reason
    assert reason == "Enough groups are ready."  # people go on
    update = updates.create(taught.db, taught.project.id)
    taught.work()
    rows = updates.inputs(taught.db, update.id)
    assert updates.get(taught.db, update.id).status == "succeeded"
    assert {row.source for row in rows} == {LEARNED}


def test_until_it_has_proved_itself_an_update_learns_from_people_alone(desk: Desk) -> None:
    projects.set_reward(desk.db, desk.project.id, MIX)
    desk.rate(2)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    assert updates.get(desk.db, update.id).group_count == 2
    assert {row.source for row in updates.inputs(desk.db, update.id)} == {"human"}


def test_alone_and_unproved_it_is_refused_with_what_it_needs(desk: Desk) -> None:
    projects.set_reward(desk.db, desk.project.id, RewardWeights(0.0, {LEARNED: 1.0}))
    now = status.status(desk.db, desk.project.id)
    assert (now.can_update, now.can_update_reason) == (
        False,
        "The learned reward alone does not count yet; the Rewards page says what it needs.",
    )
    with pytest.raises(Refused, match="judge 8 more groups"):
        counting(desk.worker.bench, desk.project.id, projects.reward(desk.db, desk.project.id))


def test_without_its_rater_the_last_good_state_keeps_working(taught: Desk) -> None:
    before = in_force(taught)
    [ann] = reliability.of_raters(taught.db, taught.project.id)
    raters.exclude(taught.db, taught.project.id, ann.id, True)
    taught.work()
    assert in_force(taught).id == before.id
    assert learned.view(taught.db, taught.project.id).setback == (
        "A reward is learned from 8 judged groups or more: judge 8 more groups."
    )


def test_ratings_that_call_all_alike_teach_nothing_and_say_so(desk: Desk) -> None:
    for _ in range(8):
        while (shown := groups.next_for(desk.db, desk.project.id, "ann")) is None:
            assert desk.work()
        judgement = {image.id: 0.0 for image in shown.images}
        event = RatingIn(shown.id, shown.id, "ann", "best", judgement)
        ratings.record(desk.db, event)
    desk.work()
    assert learned.in_force(desk.db, desk.project.id) is None
    assert learned.view(desk.db, desk.project.id).setback.startswith(
        "0 of 8 judgements prefer one picture to another"
    )


def test_where_nothing_was_learned_automatic_rewards_that_disagree_say_what_tells_most(
    desk: Desk,
) -> None:
    weights = RewardWeights(1.0, {"clip_score": 1.0, "other": 1.0})
    projects.set_reward(desk.db, desk.project.id, weights)
    groups.next_for(desk.db, desk.project.id, "ann")
    desk.work()
    agreed, disputed, *_ = learned.open_groups(desk.db, desk.project.id)
    for group_id, other in ((agreed, [1, 2, 3, 4]), (disputed, [4, 3, 2, 1])):
        ids = [image.id for image in groups.images(desk.db, group_id)]
        rows = [("clip_score", [1, 2, 3, 4]), ("other", other)]
        for source, values in rows:
            scores.put(
                desk.db,
                [(image, source, "1", float(v)) for image, v in zip(ids, values, strict=True)],
            )
    job_learned.appraise(desk.worker.bench, desk.project.id, [agreed, disputed])
    assert groups.get(desk.db, agreed).informativeness == pytest.approx(0, abs=1e-9)
    assert groups.get(desk.db, disputed).informativeness > 0.1
    shown = groups.next_for(desk.db, desk.project.id, "bob")
    assert shown is not None
