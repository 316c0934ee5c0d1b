"""Blind pairs end to end: a real worker renders them, a rater judges them, a win rate comes out."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from loop_studio.storage import groups, pairs, projects, ratings, updates, versions
from loop_studio.storage.ratings import RatingIn
from tests.jobs.conftest import Desk


def pixels(desk: Desk, image_id: str) -> np.ndarray:
    with desk.files.open(groups.image(desk.db, image_id).key) as file:
        return np.asarray(Image.open(io.BytesIO(file.read())))


def taught(desk: Desk) -> int:
    """One update of the tiny model; the number of the version that is live then."""
    desk.rate(2)
    updates.create(desk.db, desk.project.id)
    desk.work()
    return versions.live(desk.db, desk.project.id).number


def judge_pairs(desk: Desk, count: int) -> list[str]:
    """Judge pairs for the live version, whichever side it is on; the last one is a tie."""
    judged = []
    for number in range(count):
        shown = groups.next_for(desk.db, desk.project.id, "ann", (), ["pair"])
        if shown is None:
            assert desk.work()
            shown = groups.next_for(desk.db, desk.project.id, "ann", (), ["pair"])
        assert shown is not None
        first, second = groups.images(desk.db, shown.id)
        tie = number == count - 1
        values: dict[str, float | None] = {first.id: 0.5 if tie else 1.0}
        values[second.id] = 0.5 if tie else 0.0
        event = RatingIn(f"pair-{shown.id}", shown.id, "ann", "pair", values)
        ratings.record(desk.db, event)
        judged.append(shown.id)
    return judged


def test_pairs_of_two_versions_are_made_judged_and_counted(desk: Desk) -> None:
    projects.change(desk.db, desk.project.id, settings={"pair_share": 0.5})
    assert taught(desk) == 1
    judged = judge_pairs(desk, 3)
    live = versions.live(desk.db, desk.project.id)
    rate = pairs.win_rates(desk.db, desk.project.id)[live.id]
    assert (rate.hits, rate.total) == (2.5, 3)
    for group_id in judged:
        pair = groups.get(desk.db, group_id)
        first, second = groups.images(desk.db, group_id)
        assert (pair.version_id, pair.opponent_id) == (live.id, live.parent_id)
        assert pair.trajectory_key is None
        assert (first.seed, first.prompt) == (second.seed, second.prompt)
        assert first.key != second.key
        difference = np.abs(pixels(desk, first.id).astype(int) - pixels(desk, second.id))
        assert difference.any(), "the two versions drew the very same picture"


def test_a_candidate_is_compared_with_the_live_version_while_that_serves_on(desk: Desk) -> None:
    deciding = {"pair_share": 0.5, "promotion": "pairs"}
    projects.change(desk.db, desk.project.id, settings=deciding)
    assert taught(desk) == 0
    judge_pairs(desk, 3)
    candidate = versions.by_number(desk.db, desk.project.id, 1)
    assert pairs.win_rates(desk.db, desk.project.id)[candidate.id].total == 3
    assert candidate.awaits_pairs
    shown = groups.next_for(desk.db, desk.project.id, "ann")
    assert shown is not None
    assert shown.version == 0
