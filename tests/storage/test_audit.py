"""Who changed what: every change has its line, what changes nothing has none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loop_studio.errors import Conflict
from loop_studio.storage import (
    audit,
    control,
    deleting,
    lifecycle,
    projects,
    prompts,
    raters,
    schedules,
    updates,
    versions,
)
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.projects import RewardWeights
from tests.storage.studio import make_group, make_project, publish, rate


def said(db: Database, *of: str) -> list[str]:
    """The sentences, oldest first."""
    entries, _ = audit.entries(db)
    return [one.sentence for one in reversed(entries) if not of or one.action in of]


def test_a_projects_settings_rewards_and_prompts_leave_their_lines(db: Database) -> None:
    project = make_project(db)
    projects.change(db, project.id, settings={"group_size": 6})
    projects.change(db, project.id, settings={"group_size": 6}, name="Test", guidelines="")
    projects.set_reward(db, project.id, RewardWeights(0.5, {"clip_score": 1.0}))
    prompts.replace(db, project.id, [("a red fish", [])])
    projects.change(db, project.id, name="Fish", archived=True)
    assert said(db) == [
        "Made the project Test.",
        "Changed group_size from 4 to 6.",
        'Changed human from 1.0 to 0.5, models from {} to {"clip_score": 1.0}.',
        "Changed the list of prompts; it has 1 prompt now.",
        "Renamed Test to Fish.",
        "Archived Fish.",
    ]


def test_schedules_leave_theirs(db: Database) -> None:
    project = make_project(db)
    made = schedules.create(db, project.id, "update", "0  4 * * *")
    schedules.change(db, made.id, cron="0 4 * * *")
    schedules.change(db, made.id, cron="0 5 * * 0")
    schedules.change(db, made.id, enabled=False)
    schedules.remove(db, made.id)
    schedules.remove(db, made.id)
    schedules.create(db, None, "housekeeping", "0 3 * * *")
    assert said(db, "settings") == [
        "Made the schedule 0 4 * * *.",
        "Changed the schedule 0 4 * * * to 0 5 * * 0.",
        "Switched off the schedule 0 5 * * 0.",
        "Removed the schedule 0 5 * * 0.",
    ]


def test_updates_and_versions_leave_theirs_and_the_actor_is_named(
    db: Database, files: FileStore
) -> None:
    project = make_project(db)
    rate(db, make_group(db, project), rater="ann")
    with audit.acting("Bo"):
        version = publish(db, project)
    rate(db, make_group(db, project), rater="cy")
    cancelled = updates.create(db, project.id)
    for _ in range(2):
        control.cancel(db, cancelled.id)
    versions.activate(db, versions.by_number(db, project.id, 0).id)
    deleting.delete_version(db, files, version.id)
    assert said(db, "update", "version") == [
        "Started update 1.",
        "Version 1 went live.",
        "Started update 2.",
        "Cancelled update 2.",
        "Version 0 went live.",
        "Deleted version 1.",
    ]
    by_bo, _ = audit.entries(db, actor="Bo")
    assert [one.sentence for one in by_bo] == ["Version 1 went live.", "Started update 1."]


def raters_named(db: Database, project_id: str, name: str):
    with db.read() as session:
        known = raters.known(session, project_id, name)
    assert known is not None
    return known


def test_an_update_that_starts_by_itself_is_the_studios(db: Database) -> None:
    project = make_project(db, auto_update_groups=1)
    rate(db, make_group(db, project))
    [entry], _ = audit.entries(db, action="update")
    assert (entry.actor, entry.sentence) == (audit.STUDIO, "Started update 1.")


def test_a_change_that_fails_leaves_no_line(db: Database) -> None:
    project = make_project(db)
    with pytest.raises(Conflict):
        updates.create(db, project.id)
    assert said(db, "update") == []


def test_an_excluded_rater_is_named_by_id_and_a_deleted_project_keeps_its_lines(
    db: Database,
) -> None:
    project = make_project(db)
    rate(db, make_group(db, project), rater="ann")
    raters.exclude(db, project.id, raters_named(db, project.id, "ann").id, True)
    [entry], _ = audit.entries(db, action="rater")
    assert (entry.sentence, entry.rater, entry.project) == ("Excluded a rater.", "ann", "Test")
    lifecycle.delete(db, project.id, "Test")
    newest = audit.entries(db, project.id)[0][0]
    assert (newest.sentence, newest.project) == ("Deleted the project Test.", None)


def test_older_lines_are_paged(db: Database) -> None:
    project = make_project(db)
    for size in (5, 6, 7):
        projects.change(db, project.id, settings={"group_size": size})
    newest, more = audit.entries(db, limit=3)
    assert more
    [oldest], more = audit.entries(db, before=newest[-1].id)
    assert (oldest.sentence, more) == ("Made the project Test.", False)


def test_nothing_changes_or_deletes_a_line() -> None:
    """The log is append-only: no statement of the package but the one that adds names it."""
    package = Path(audit.__file__).parents[1]
    changing = re.compile(r"(update|delete)\(AuditEntry|session\.delete\(.*entry")
    assert not [path for path in package.rglob("*.py") if changing.search(path.read_text())]
