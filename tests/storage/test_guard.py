"""A version that the guard keeps back: not live, not lost, and someone decides."""

from __future__ import annotations

from loop_studio.storage import guard, projects, samples, updates, versions
from loop_studio.storage.database import Database
from loop_studio.storage.groups import NewImage
from loop_studio.storage.guard import Checked
from loop_studio.storage.schema import Project, Version
from tests.storage.studio import (
    FILES,
    make_group,
    make_project,
    publish,
    rate,
    start_update,
    stored,
)

HELD = Checked(concerns=["Every picture is blank."], is_held=True)


def publish_checked(db: Database, project: Project, checked: Checked) -> Version:
    rate(db, make_group(db, project))
    update, job = start_update(db, project)
    updates.claim_groups(db, update.id)
    return updates.publish(db, job, update.id, FILES, {}, checked=checked)


def live_number(db: Database, project: Project) -> int:
    return versions.live(db, project.id).number


def test_a_held_version_is_listed_with_its_files_and_is_not_live(db: Database) -> None:
    project = make_project(db)
    held = publish_checked(db, project, HELD)
    assert live_number(db, project) == 0
    assert versions.file(db, held.id, "resume").size == 3
    [update] = updates.list(db, project.id)
    assert (update.status, update.made_live) == ("succeeded", False)
    assert (held.concerns, held.awaits_decision) == (["Every picture is blank."], True)
    notice = guard.notice(db, project.id)
    assert notice is not None
    assert (notice.version.id, notice.other.number, notice.is_live) == (held.id, 0, False)


def test_made_live_anyway_it_is_live_and_the_notice_is_gone(db: Database) -> None:
    project = make_project(db)
    held = publish_checked(db, project, HELD)
    versions.activate(db, held.id)
    assert live_number(db, project) == 1
    assert guard.notice(db, project.id) is None
    assert versions.get(db, held.id).concerns == ["Every picture is blank."]


def test_staying_takes_the_notice_away_and_changes_nothing(db: Database) -> None:
    project = make_project(db)
    held = publish_checked(db, project, HELD)
    for _ in range(2):
        guard.dismiss(db, held.id)
        assert guard.notice(db, project.id) is None
        assert live_number(db, project) == 0


def test_no_update_starts_by_itself_until_someone_decides(db: Database) -> None:
    project = make_project(db)
    held = publish_checked(db, project, HELD)
    projects.change(db, project.id, settings={"auto_update_groups": 1})
    rate(db, make_group(db, project))
    assert updates.active(db, project.id) is None
    guard.dismiss(db, held.id)
    rate(db, make_group(db, project))
    assert updates.active(db, project.id) is not None


def test_the_next_healthy_version_ends_the_notice(db: Database) -> None:
    project = make_project(db)
    publish_checked(db, project, HELD)
    publish_checked(db, project, Checked())
    assert live_number(db, project) == 2
    assert guard.notice(db, project.id) is None


def test_a_warning_leaves_the_version_live_and_names_the_last_healthy_one(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    publish(db, project)
    for number in (2, 3):
        publish_checked(db, project, Checked(concerns=["The reward is gamed."]))
        assert live_number(db, project) == number
    notice = guard.notice(db, project.id)
    assert notice is not None
    assert (notice.version.number, notice.is_live, notice.other.number) == (3, True, 1)
    projects.change(db, project.id, settings={"auto_update_groups": 1})
    rate(db, make_group(db, project))
    assert updates.active(db, project.id) is not None  # it was a warning, no more


def test_a_return_makes_the_last_healthy_version_live(db: Database) -> None:
    project = make_project(db)
    for _ in range(2):
        rate(db, make_group(db, project))
        publish(db, project)
    healthy = versions.by_number(db, project.id, 1)
    gamed = Checked(concerns=["Gamed."], is_held=True, return_to=healthy.id)
    version = publish_checked(db, project, gamed)
    assert live_number(db, project) == 1
    assert version.awaits_decision
    update = updates.list(db, project.id)[-1]
    assert not update.made_live


def test_a_branch_asks_for_no_decision(db: Database) -> None:
    """Someone made another version live meanwhile: nothing would have gone live anyway."""
    project = make_project(db)
    rate(db, make_group(db, project))
    first = publish(db, project)
    rate(db, make_group(db, project))
    update, job = start_update(db, project)
    updates.claim_groups(db, update.id)
    versions.activate(db, versions.by_number(db, project.id, 0).id)
    branch = updates.publish(db, job, update.id, FILES, {}, checked=HELD)
    assert branch.concerns
    assert not branch.awaits_decision
    assert first.number == 1


def test_a_held_version_is_no_candidate_for_pairs(db: Database) -> None:
    project = make_project(db, promotion="pairs", pair_share=0.2)
    held = publish_checked(db, project, HELD)
    assert (held.awaits_pairs, held.awaits_decision) == (False, True)


def test_pictures_of_before_and_after_stand_side_by_side(db: Database) -> None:
    project = make_project(db)
    wall = samples.base_probe(db, project.id)
    assert wall is not None
    assert samples.base_probe(db, project.id).id == wall.id  # type: ignore[union-attr]
    cells = samples.cells(wall)

    def drawn() -> list[NewImage]:
        return [NewImage(i, seed, 64, 64, stored(), text) for i, (text, seed) in enumerate(cells)]

    samples.add_images(db, wall.id, drawn())
    held = publish_checked(db, project, Checked(drawn(), concerns=["Mud."], is_held=True))
    notice = guard.notice(db, project.id)
    assert notice is not None
    shown = [(cell.prompt, cell.seed) for cell in notice.pictures]
    assert shown == [(text, 1) for text in ("a red fish", "a blue moon", "two stars")]
    own = {image.id for image in samples.probe(db, held.id)[1]}  # type: ignore[index]
    assert all(cell.after in own and cell.before not in own for cell in notice.pictures)
