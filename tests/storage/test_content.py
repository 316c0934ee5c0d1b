"""Pictures that are blocked, reported or removed: who sees them, and what is learned without."""

from __future__ import annotations

import pytest

from loop_studio.errors import Conflict, Forbidden
from loop_studio.storage import (
    consent,
    content,
    groups,
    jobs,
    projects,
    ratings,
    reports,
    updates,
    verdicts,
)
from loop_studio.storage.database import Database
from loop_studio.storage.ratings import RatingIn
from loop_studio.storage.schema import Group, Image, Project, new_id
from tests.storage.studio import judge, make_group, make_project, rate


def checked_group(db: Database, project: Project, *flagged: int) -> Group:
    """A group whose pictures at these positions the safety checker found sensitive."""
    group = make_group(db, project)
    images = groups.images(db, group.id)
    verdicts.record(db, project.id, {image.id: image.position in flagged for image in images})
    return groups.get(db, group.id)


def ids(db: Database, group: Group) -> list[str]:
    return [image.id for image in groups.images(db, group.id)]


def shown(db: Database, project: Project, rater: str = "ann") -> list[str]:
    served = groups.next_for(db, project.id, rater)
    return [] if served is None else [image.id for image in served.images]


def withheld(db: Database, image_id: str) -> str | None:
    with db.read() as session:
        row = session.get(Image, image_id)
        assert row is not None
        return row.withheld


@pytest.fixture
def project(db: Database) -> Project:
    return make_project(db)


def test_blocked_pictures_are_neither_shown_nor_served(db: Database, project: Project) -> None:
    projects.change(db, project.id, settings={"content": "block"})
    first, *others = ids(db, checked_group(db, project, 0))
    assert sorted(shown(db, project)) == sorted(others)
    with pytest.raises(Forbidden, match="safety checker finds this picture sensitive"):
        groups.image(db, first)
    assert groups.image(db, others[0]).id == others[0]


def test_a_group_with_fewer_than_two_pictures_left_is_set_aside(
    db: Database, project: Project
) -> None:
    projects.change(db, project.id, settings={"content": "block"})
    group = checked_group(db, project, 0, 1, 2)
    assert group.retired_reason == content.SET_ASIDE
    assert shown(db, project) == []
    projects.change(db, project.id, settings={"content": "off"})
    assert groups.get(db, group.id).retired_reason is None
    assert sorted(shown(db, project)) == sorted(ids(db, group))


def test_what_is_withheld_counts_as_not_judged(db: Database, project: Project) -> None:
    """The advantages are those of the group without it, by every gesture."""
    projects.change(db, project.id, settings={"content": "block"})
    for mode, values, expected in (
        ("best", [1.0, 0.0, 1.0, 0.0], None),
        ("stars", [5.0, 1.0, 3.0, 2.0], [-1 / 4 - 0.125, 1 / 4 + 0.125, 0.0]),
        ("rank", [1.0, 2.0, 3.0, 4.0], [0.5, 0.0, -0.5]),
    ):
        group = checked_group(db, project, 0)
        if mode == "best":  # the best one is hidden: the others are all not good
            values = [1.0, 0.0, 0.0, 0.0]
        told = judge(db, group, mode, values)
        hidden, *seen = ids(db, group)
        assert told.rewards[hidden] is None
        assert told.advantages[hidden] is None
        if expected is None:
            assert not told.usable
        else:
            assert [told.advantages[image] for image in seen] == pytest.approx(expected)
        rewards = updates.judgements(db, [group.id])
        assert all(hidden not in row.rewards for row in rewards)


def test_pictures_wait_for_the_checker_once_the_project_blocks(
    db: Database, project: Project
) -> None:
    group = make_group(db, project)
    projects.change(db, project.id, settings={"content": "block"})
    assert {withheld(db, image) for image in ids(db, group)} == {"unchecked"}
    assert shown(db, project) == []
    job = jobs.claim(db, "w", kinds=[content.KIND])
    assert job is not None
    assert job.payload == content.CHECK
    verdicts.record(db, project.id, dict.fromkeys(ids(db, group), False))
    assert len(shown(db, project)) == 4


def test_blurred_is_what_the_checker_flagged_or_never_saw(db: Database, project: Project) -> None:
    group = checked_group(db, project, 2)
    unseen = make_group(db, project)
    projects.change(db, project.id, settings={"content": "blur"})
    first = groups.next_for(db, project.id, "ann")
    assert first is not None
    by_id = {image.id: image.blurred for image in first.images}
    assert [by_id[image] for image in ids(db, group)] == [False, False, True, False]
    second = groups.next_for(db, project.id, "ann", exclude=[group.id])
    assert second is not None
    assert second.id == unseen.id
    assert all(image.blurred for image in second.images)


def test_a_report_hides_the_picture_from_everyone_at_once(db: Database, project: Project) -> None:
    group = make_group(db, project)
    judged = judge(db, group, "stars", [5.0, 1.0, 3.0, 2.0], rater="bob")
    assert judged.usable
    bad = ids(db, group)[0]
    with pytest.raises(Forbidden, match="shown to you"):
        reports.report(db, bad, "ann", "")
    other = make_group(db, project)
    seen = shown(db, project)
    assert sorted(seen) == sorted(ids(db, other))
    report = reports.report(db, seen[0], "ann", " not nice ")
    assert (report.state, report.reason) == ("open", "not nice")
    assert reports.report(db, seen[0], "ann", "again").id == report.id
    assert sorted(shown(db, project)) == sorted(seen[1:])
    with pytest.raises(Forbidden, match="hidden until someone decides"):
        groups.image(db, seen[0])
    with db.read() as session:
        assert reports.count_open(session, project.id) == 1


@pytest.mark.parametrize(("decision", "state"), [("keep", "kept"), ("remove", "removed")])
def test_someone_decides_about_a_reported_picture(
    db: Database, project: Project, decision: reports.Decision, state: str
) -> None:
    group = make_group(db, project)
    image = shown(db, project)[0]
    position = ids(db, group).index(image)
    values = [float(place == position) for place in range(4)]
    judge(db, group, "good", values)
    report = reports.report(db, image, "ann", "")
    assert not groups.get(db, group.id).usable  # what is left is all alike
    assert reports.decide(db, report.id, decision).state == state
    assert groups.get(db, group.id).usable is (decision == "keep")
    assert withheld(db, image) == (None if decision == "keep" else "removed")
    with pytest.raises(Conflict, match=state):
        reports.report(db, image, "ann", "")
    [listed] = reports.listing(db, project.id)
    assert (listed.state, listed.rater) == (state, "ann")


def test_a_report_of_a_repeat_hides_the_original_too(db: Database, project: Project) -> None:
    group = make_group(db, project)
    original = ids(db, group)[1]
    with db.write() as session:
        repeat = Group(
            kind="repeat", repeat_of_id=group.id, project_id=project.id,
            prompt_id=group.prompt_id, version_id=group.version_id, revision_id=group.revision_id,
        )  # fmt: skip
        session.add(repeat)
        session.flush()
        for row in groups.images(db, group.id):
            names = ("position", "prompt", "seed", "width", "height", "key", "sha256", "size")
            copied = {name: getattr(row, name) for name in names}
            session.add(Image(group_id=repeat.id, **copied))
    groups.bring_to(db, repeat.id, "ann")
    copy = ids(db, repeat)[1]
    reports.report(db, copy, "ann", "")
    assert withheld(db, original) == withheld(db, copy) == "reported"


def test_an_order_may_name_pictures_that_were_hidden_since(db: Database, project: Project) -> None:
    group = make_group(db, project)
    order = shown(db, project)
    reports.report(db, order[0], "ann", "")
    judgement = {image: float(image == order[1]) for image in order}
    for named in (order, order[1:]):
        ratings.record(db, RatingIn(new_id(), group.id, "ann", "best", judgement, order=named))


def test_nobody_judges_before_agreeing_to_the_text(db: Database, project: Project) -> None:
    group = make_group(db, project)
    rate(db, make_group(db, project), "ann")
    consent.set_text(db, project.id, "We keep your answers.")
    for ask in (lambda: groups.next_for(db, project.id, "ann"), lambda: rate(db, group, "ann")):
        with pytest.raises(Forbidden) as refused:
            ask()
        assert refused.value.code == "consent_needed"
    asked = consent.state(db, project.id, "ann")
    assert (asked.number, asked.text, asked.agreed_at) == (1, "We keep your answers.", None)
    agreed = consent.agree(db, project.id, "ann", 1)
    assert agreed.agreed_at is not None
    assert consent.agree(db, project.id, "ann", 1).agreed_at == agreed.agreed_at
    rate(db, group, "ann")
    consent.set_text(db, project.id, "We keep your answers for ever.")
    with pytest.raises(Conflict):
        consent.agree(db, project.id, "ann", 1)
    assert consent.agree(db, project.id, "ann", 2).number == 2
    consent.set_text(db, project.id, " ")
    assert consent.state(db, project.id, "bob").number == 0
    assert groups.next_for(db, project.id, "bob") is None
