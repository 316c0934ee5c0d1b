import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from loop_studio.errors import Conflict, Forbidden, Invalid, NotFound
from loop_studio.storage import exporting, groups, jobs, projects, ratings, status, updates
from loop_studio.storage.database import Database
from loop_studio.storage.ratings import RatingIn, RatingOut
from loop_studio.storage.schema import Rating, Reward, now
from tests.storage.studio import (
    gesture,
    make_group,
    make_project,
    publish,
    rate,
    skip,
    start_update,
)


def rows(db: Database) -> list[Rating]:
    with db.read() as session:
        return list(session.scalars(select(Rating).order_by(Rating.sequence)))


def event(db: Database, **changes: object) -> RatingIn:
    group = make_group(db, make_project(db))
    sent = RatingIn("e1", group.id, "ann", "best", gesture(db, group), elapsed_ms=900)
    return replace(sent, **changes)


def test_the_same_event_twice_is_one_row_and_the_stored_answer(db: Database) -> None:
    sent = event(db)
    first = ratings.record(db, sent)
    assert ratings.record(db, sent) == first
    assert len(rows(db)) == 1
    assert first.status == "active"
    assert first.usable
    assert sorted(value or 0 for value in first.rewards.values()) == [0, 0, 0, 1]
    assert sorted(value or 0 for value in first.advantages.values()) == [-0.25, -0.25, -0.25, 0.75]


def test_nulls_and_images_left_out_are_the_same_content(db: Database) -> None:
    sent = event(db)
    chosen = {image: value for image, value in sent.judgement.items() if value}
    zero = next(image for image in sent.judgement if image not in chosen)
    short = replace(sent, judgement={**chosen, zero: 0.0})
    first = ratings.record(db, short)
    nulls = {image: short.judgement.get(image) for image in sent.judgement}
    assert ratings.record(db, replace(sent, judgement=nulls)) == first
    assert first.rewards == nulls


def changed_judgement(sent: RatingIn) -> RatingIn:
    return replace(sent, judgement=dict.fromkeys(sent.judgement, 0.5))


@pytest.mark.parametrize(
    "change",
    [
        changed_judgement,
        lambda sent: replace(sent, rater="bob"),
        lambda sent: replace(sent, group_id="other"),
        lambda sent: replace(sent, mode="skip", judgement={}),
        lambda sent: replace(sent, order=sorted(sent.judgement)),
        lambda sent: replace(sent, elapsed_ms=901),
    ],
)
def test_the_same_event_changed_is_a_conflict(db: Database, change: object) -> None:
    sent = event(db)
    ratings.record(db, sent)
    before = rows(db)[0].content_sha256
    with pytest.raises(Conflict) as refused:
        ratings.record(db, change(sent))
    assert refused.value.code == "event_conflict"
    assert [row.content_sha256 for row in rows(db)] == [before]


def test_two_concurrent_posts_of_one_event_make_one_row(db: Database) -> None:
    sent = event(db)
    answers: list[RatingOut] = []
    barrier = threading.Barrier(6)

    def post() -> None:
        barrier.wait()
        answers.append(ratings.record(db, sent))

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(db)) == 1
    assert len(answers) == 6
    assert all(answer == answers[0] for answer in answers)


def test_a_later_event_supersedes_and_the_older_row_stays(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    first = rate(db, group, best=0)
    second = rate(db, group, best=1)
    assert [(row.status, row.usable) for row in rows(db)] == [
        ("superseded", False),
        ("active", True),
    ]
    again = rate(db, group, event_id=first.event_id, best=0)
    assert (again.status, again.created_at) == ("superseded", first.created_at)
    assert second.usable
    assert status.status(db, project.id).ratings == 1
    rate(db, group, "bob")
    assert status.status(db, project.id).ratings == 2
    assert groups.get(db, group.id).judged_by == 2


def test_undo_is_repeatable_and_takes_the_signal_away(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    stored = rate(db, group)
    assert groups.get(db, group.id).usable
    undone = ratings.undo(db, stored.event_id)
    assert (undone.status, undone.usable, undone.used_by_update_id) == ("undone", False, None)
    assert ratings.undo(db, stored.event_id) == undone
    assert not groups.get(db, group.id).usable
    assert status.status(db, project.id).ratings == 0
    assert rate(db, group, event_id=stored.event_id).status == "undone"
    with pytest.raises(NotFound, match="There is no rating event nothing"):
        ratings.undo(db, "nothing")


def test_undo_of_a_superseded_event_leaves_the_later_one(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    first, second = rate(db, group), rate(db, group, best=1)
    assert ratings.undo(db, first.event_id).status == "undone"
    assert [row.status for row in rows(db)] == ["undone", "active"]
    assert groups.next_for(db, project.id, "ann") is None
    assert second.usable


def test_what_an_update_has_used_stays_used_after_an_undo(db: Database) -> None:
    project = make_project(db)
    stored = rate(db, make_group(db, project))
    published = publish(db, project)
    undone = ratings.undo(db, stored.event_id)
    assert (undone.status, undone.used_by_update_id) == ("undone", published.update_id)
    assert ratings.undo(db, stored.event_id).used_by_update_id == published.update_id


def test_a_retired_group_keeps_the_rating_and_says_why_it_is_not_used(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    groups.next_for(db, project.id, "ann")
    projects.change(db, project.id, settings={"guidance_scale": 4.0})
    stored = rate(db, group)
    assert (stored.status, stored.usable) == ("active", False)
    assert "generation settings were changed" in stored.reason
    current = status.status(db, project.id)
    assert (current.ratings, current.usable_groups) == (1, 0)


def test_a_trained_group_keeps_the_rating_and_says_why_it_is_not_used(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    rate(db, group, "ann")
    publish(db, project)
    late = rate(db, group, "bob")
    assert (late.status, late.usable, late.used_by_update_id) == ("active", False, None)
    assert "update 1 has already used this group" in late.reason


def test_a_rating_during_an_update_that_fails_becomes_usable(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    first = rate(db, group, "ann")
    update, job = start_update(db, project)
    updates.claim_groups(db, update.id)
    late = rate(db, group, "ann", best=1)
    assert not late.usable
    assert [row.used_by_update_id for row in rows(db)] == [update.id, None]
    jobs.finish(db, job, "failed", "oops", "It failed.", "")
    assert [(row.event_id, row.usable, row.used_by_update_id) for row in rows(db)] == [
        (first.event_id, False, None),
        (late.event_id, True, None),
    ]
    assert status.status(db, project.id).usable_groups == 1


@pytest.mark.parametrize(
    ("elapsed", "kept"),
    [
        (0, 0),
        (86_400_000, 86_400_000),
        (-1, None),
        (86_400_001, None),
        (1e300, None),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
    ],
)
def test_an_implausible_time_is_stored_as_null(
    db: Database, elapsed: float | None, kept: int | None
) -> None:
    ratings.record(db, event(db, elapsed_ms=elapsed))
    assert rows(db)[0].elapsed_ms == kept


def test_a_clock_that_runs_backwards_changes_no_order(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = event(db)
    ratings.record(db, first)
    an_hour_ago = now() - timedelta(hours=1)
    monkeypatch.setattr(ratings, "now", lambda: an_hour_ago)
    later = replace(first, event_id="later")
    assert ratings.record(db, later).created_at == an_hour_ago
    assert [(row.event_id, row.status) for row in rows(db)] == [
        (first.event_id, "superseded"),
        ("later", "active"),
    ]


def test_an_undo_that_overtakes_its_rating_is_refused_and_takes_nothing_away(
    db: Database,
) -> None:
    sent = event(db)
    with pytest.raises(NotFound, match="There is no rating event"):
        ratings.undo(db, sent.event_id)
    assert ratings.record(db, sent).status == "active"
    assert ratings.undo(db, sent.event_id).status == "undone"
    assert ratings.record(db, sent).status == "undone"  # replayed: as it is stored, not as it was


def test_the_order_shown_is_kept_and_must_be_a_permutation(db: Database) -> None:
    sent = event(db)
    ids = list(sent.judgement)
    for order in ([], ids[:-1], [*ids, ids[0]], [ids[0]] * len(ids), [*ids[:-1], "other"]):
        with pytest.raises(Invalid, match="order must name each image"):
            ratings.record(db, replace(sent, order=order))
    ratings.record(db, replace(sent, order=ids[::-1]))
    assert rows(db)[0].order == ids[::-1]


def test_bad_gestures_are_refused_and_nothing_is_kept(db: Database) -> None:
    sent = event(db)
    image = next(iter(sent.judgement))
    for change in (
        {"judgement": {"elsewhere": 1.0}},
        {"judgement": {image: 7.0}},
        {"judgement": {image: float("nan")}},
        {"mode": "rank", "judgement": {image: float("inf")}},
        {"judgement": {}},
        {"mode": "shout"},
        {"mode": "skip"},
        {"event_id": ""},
        {"event_id": "x" * 65},
        {"rater": ""},
        {"rater": "x" * 81},
    ):
        with pytest.raises(Invalid):
            ratings.record(db, replace(sent, **change))
    with pytest.raises(NotFound, match="There is no group elsewhere"):
        ratings.record(db, replace(sent, group_id="elsewhere"))
    assert rows(db) == []


def test_a_judgement_of_nothing_but_ties_is_kept_without_a_signal(db: Database) -> None:
    stored = ratings.record(db, changed_judgement(event(db)))
    assert (stored.usable, stored.reason) == (
        False,
        "No learning signal: all images are judged equal.",
    )


def test_rewards_are_stored_with_the_version_of_the_mapping(db: Database) -> None:
    group = make_group(db, make_project(db))
    rate(db, group)
    skip(db, group, "bob")
    with db.read() as session:
        kept = select(Reward.mapping_version, func.sum(Reward.value))
        found = session.execute(kept.group_by(Reward.mapping_version)).all()
        assert [tuple(row) for row in found] == [(1, 1.0)]


def test_a_groups_details_are_told_once_its_rater_has_judged_it(db: Database) -> None:
    group = make_group(db, make_project(db))
    for rater in ("ann", "stranger"):
        with pytest.raises(Forbidden, match="Judge this group first"):
            groups.detail(db, group.id, rater)
    skip(db, group)
    with pytest.raises(Forbidden):
        groups.detail(db, group.id, "ann")
    stored = rate(db, group)
    told = groups.detail(db, group.id, "ann")
    assert (told.version, told.rewards) == (0, stored.rewards)
    assert told.settings["group_size"] == 4
    assert [image.seed for image in told.images] == [0, 1, 2, 3]
    with pytest.raises(Forbidden):
        groups.detail(db, group.id, "bob")


def test_enough_usable_groups_start_an_update_by_themselves(db: Database) -> None:
    project = make_project(db, auto_update_groups=3)
    for number in range(3):
        assert updates.list(db, project.id) == []
        rate(db, make_group(db, project), event_id=f"e{number}")
    [started] = updates.list(db, project.id)
    rate(db, make_group(db, project))
    assert updates.list(db, project.id)[0].id == started.id
    assert len(updates.list(db, project.id)) == 1


def test_an_update_that_failed_is_not_tried_anew_at_every_rating(db: Database) -> None:
    project = make_project(db, auto_update_groups=2)
    for _ in range(2):
        rate(db, make_group(db, project))
    updates.cancel(db, updates.list(db, project.id)[0].id)
    rate(db, make_group(db, project))
    assert len(updates.list(db, project.id)) == 1
    rate(db, make_group(db, project))
    assert len(updates.list(db, project.id)) == 2


def test_export_streams_every_event_in_order_of_arrival(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    first, second = rate(db, group), rate(db, group, best=1)
    skipped = skip(db, group, "bob")
    ratings.undo(db, second.event_id)
    exported = [row.values() for row in exporting.rows(db, project.id)]
    assert [(row["event_id"], row["status"]) for row in exported] == [
        (first.event_id, "superseded"),
        (second.event_id, "undone"),
        (skipped.event_id, "active"),
    ]
    assert exported[0]["prompt"] == "a red fish"
    assert exported[0]["rewards"] == first.rewards
    with pytest.raises(NotFound):
        exporting.rows(db, "nowhere")


def test_export_goes_on_past_one_page(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_AT_ONCE", 2)
    project = make_project(db)
    group = make_group(db, project)
    sent = [rate(db, group).event_id for _ in range(4)]
    assert [row.event_id for row in exporting.rows(db, project.id)] == sent
