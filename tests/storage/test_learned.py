"""What a learned reward learns from, and which of its fits is in force."""

from __future__ import annotations

from sqlalchemy import func, select

from loop_studio.judgement import LEARNED
from loop_studio.storage import (
    groups,
    learned,
    projects,
    raters,
    ratings,
    references,
    reliability,
    serving,
    status,
    updates,
)
from loop_studio.storage.database import Database
from loop_studio.storage.files import StoredFile
from loop_studio.storage.learned import NewFit
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Group, Job, Project
from tests.storage.studio import judge, make_group, make_project, rate, skip, start_update


def attempt(file: StoredFile | None, sentence: str = "", last: int | None = None) -> NewFit:
    return NewFit(file, last, 9, 9, {"accuracy": 0.8}, not sentence, sentence)


def of_group(db: Database, project: Project, group: Group) -> list[learned.Judged]:
    return [one for one in learned.judgements(db, project.id) if one.group_id == group.id]


def queued_fits(db: Database) -> int:
    wanted = select(func.count()).where(Job.kind == "fit_reward", Job.state == "queued")
    with db.read() as session:
        return session.scalar(wanted) or 0


def rater_id(db: Database, project: Project, name: str) -> str:
    return next(view.id for view in reliability.of_raters(db, project.id) if view.name == name)


def test_the_last_judgement_of_each_rater_counts_and_no_undone_or_skipped_one(db) -> None:
    project = make_project(db, overlap=3)
    group = make_group(db, project)
    rate(db, group, "ann", best=0)
    rate(db, group, "ann", best=2)
    undone = rate(db, group, "bob", best=1)
    ratings.undo(db, undone.event_id)
    skip(db, group, "cat")
    [one] = of_group(db, project, group)
    ids = [image.id for image in groups.images(db, group.id)]
    assert (one.mode, one.rewards) == ("best", {i: float(n == 2) for n, i in enumerate(ids)})


def test_an_excluded_rater_teaches_nothing_until_taken_back(db) -> None:
    project = make_project(db)
    group = make_group(db, project)
    rate(db, group, "ann")
    raters.exclude(db, project.id, rater_id(db, project, "ann"), True)
    assert of_group(db, project, group) == []
    raters.exclude(db, project.id, rater_id(db, project, "ann"), False)
    assert len(of_group(db, project, group)) == 1


def test_none_is_good_counts_though_it_gives_an_update_no_signal(db) -> None:
    project = make_project(db)
    group = make_group(db, project)
    assert not judge(db, group, "best", [0, 0, 0, 0]).usable
    [one] = of_group(db, project, group)
    assert set(one.rewards.values()) == {0.0}


def test_a_judgement_says_whether_its_group_was_a_fair_sample(db) -> None:
    project = make_project(db)
    served, unserved = make_group(db, project), make_group(db, project)
    assert groups.next_for(db, project.id, "ann") is not None
    rate(db, served)
    rate(db, unserved)  # by a script that chose it itself
    flags = {one.group_id: one.at_random for one in learned.judgements(db, project.id)}
    assert flags == {served.id: True, unserved.id: False}


def test_it_is_learned_anew_every_few_ratings_and_queued_once(db) -> None:
    project = make_project(db)
    for number in range(1, 8):
        rate(db, make_group(db, project))
        assert queued_fits(db) == int(number >= learned.REFIT_AFTER)


def test_while_it_lacks_ratings_every_one_is_looked_at(db) -> None:
    project = make_project(db)
    learned.record(db, project.id, attempt(None, "judge 3 more groups."))
    rate(db, make_group(db, project))
    assert queued_fits(db) == 1


def test_with_many_ratings_it_is_learned_anew_after_a_tenth_more(db) -> None:
    project = make_project(db)
    many = NewFit(StoredFile("fits/one", "0" * 64, 3), None, 100, 90, {}, False, "")
    learned.record(db, project.id, many)
    for number in range(1, 11):
        rate(db, make_group(db, project))
        assert queued_fits(db) == int(number >= 10)


def test_an_attempt_that_comes_to_nothing_leaves_the_last_good_one_in_force(db) -> None:
    project = make_project(db)
    file = StoredFile("fits/one", "0" * 64, 3)
    good = learned.record(db, project.id, attempt(file))
    learned.record(db, project.id, attempt(None, "judge 3 more groups."))
    in_force = learned.in_force(db, project.id)
    assert in_force is not None
    assert (in_force.id, in_force.number, in_force.contributes) == (good.id, 1, True)
    view = learned.view(db, project.id)
    assert view.fit is not None
    assert (view.fit.id, view.setback) == (good.id, "judge 3 more groups.")
    assert "fits/one" in references.keys(db)


def test_an_exclusion_has_it_learned_anew(db) -> None:
    project = make_project(db)
    rate(db, make_group(db, project), "ann")
    raters.exclude(db, project.id, rater_id(db, project, "ann"), True)
    assert queued_fits(db) == 0  # nothing was learned yet
    learned.record(db, project.id, attempt(StoredFile("fits/one", "0" * 64, 3)))
    raters.exclude(db, project.id, rater_id(db, project, "ann"), False)
    assert queued_fits(db) == 1


def test_features_are_kept_by_picture_and_extractor(db) -> None:
    group = make_group(db, make_project(db))
    ids = [image.id for image in groups.images(db, group.id)]
    learned.put_features(db, "clip-a", {ids[0]: b"12", ids[1]: b"34"})
    learned.put_features(db, "clip-a", {ids[0]: b"99", ids[2]: b"56"})
    assert learned.features(db, ids, "clip-a") == {ids[0]: b"12", ids[1]: b"34", ids[2]: b"56"}
    assert learned.features(db, ids, "clip-b") == {}


def claimed(db: Database, project: Project) -> list[str]:
    update, _ = start_update(db, project)
    return [group.id for group in updates.claim_groups(db, update.id)]


def counted(db: Database, project: Project) -> None:
    """The learned reward has a weight and has proved itself."""
    learned.record(db, project.id, attempt(StoredFile("fits/one", "0" * 64, 3)))
    projects.set_reward(db, project.id, RewardWeights(1.0, {LEARNED: 0.5}))


def test_an_update_takes_what_people_judged_then_what_the_reward_is_surest_of(db) -> None:
    project = make_project(db, max_groups_per_update=3)
    judged, sure, unsure, surer, held = (make_group(db, project).id for _ in range(5))
    rate(db, groups.get(db, judged))
    learned.set_informativeness(db, {sure: 0.2, unsure: 0.9, surer: 0.1, held: 0.0})
    with db.write() as session:
        serving.hold(session, groups.get(db, held), raters.named(session, project.id, "bob"))
    counted(db, project)
    assert claimed(db, project) == [judged, surer, sure]


def test_until_it_counts_an_update_takes_what_people_judged_alone(db) -> None:
    project = make_project(db, max_groups_per_update=3)
    judged, _ = make_group(db, project), make_group(db, project)
    rate(db, judged)
    projects.set_reward(db, project.id, RewardWeights(1.0, {LEARNED: 0.5}))
    assert claimed(db, project) == [judged.id]


def test_what_waits_for_an_update_leaves_the_raters_their_buffer(db) -> None:
    project = make_project(db, buffer_groups=2)
    made = [make_group(db, project) for _ in range(5)]
    rate(db, made[0])
    assert updates.claimable(db, project.id) == 1
    counted(db, project)
    assert updates.claimable(db, project.id) == 1 + 4 - 2


def test_with_a_learned_reward_that_counts_fewer_judged_groups_are_enough(db) -> None:
    project = make_project(db, min_groups=4)
    make_group(db, project)
    assert not status.status(db, project.id).can_update
    counted(db, project)
    assert status.status(db, project.id).can_update
