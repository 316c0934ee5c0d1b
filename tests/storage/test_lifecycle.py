"""Projects as wholes: cloned, started over, deleted with all that is theirs and nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from loop_studio.errors import Conflict, Invalid, NotFound
from loop_studio.storage import (
    arrival,
    jobs,
    lifecycle,
    overview,
    project_rows,
    projects,
    prompts,
    references,
    samples,
    status,
    updates,
    versions,
)
from loop_studio.storage.database import Database, broken_references
from loop_studio.storage.lifecycle import clone, delete, start_over
from loop_studio.storage.projects import STARTER_ID, RewardWeights
from loop_studio.storage.schema import Base, Project
from tests.storage.studio import FILES, make_group, make_project, publish, rate


def busy_project(db: Database) -> Project:
    """A project with a row in most tables."""
    project = make_project(db)
    for _ in range(2):
        rate(db, make_group(db, project))
    version = publish(db, project)
    with db.write() as session:
        samples.create_probe(session, version)
    rate(db, make_group(db, project), rater="bob")
    make_group(db, project)
    return project


def counts(db: Database, project_id: str) -> dict[str, int]:
    with db.read() as session:
        return {
            table.name: session.scalar(
                select(func.count()).where(project_rows.belongs(table, project_id))
            )
            for table in project_rows.owned()
        }


def test_every_table_is_a_projects_or_the_studios(db: Database) -> None:
    """A new table is deleted and taken along with its project, or is named as shared."""
    tables = set(Base.metadata.tables)
    assert tables == {table.name for table in project_rows.owned()} | set(project_rows.SHARED)
    for table in project_rows.owned():
        project_rows.belongs(table, "p")


def test_every_column_that_names_a_row_or_a_file_is_known_as_such() -> None:
    """Else a project would arrive elsewhere pointing to what was left behind."""
    for table in project_rows.travelling():
        for column in table.columns:
            if column.name.endswith("_id") and not column.foreign_keys:
                is_known = (table.name, column.name) in arrival.POINTERS
                assert is_known or column.name == "event_id", column
            if column.name == "key" or column.name.endswith("_key"):
                assert column.name == project_rows.FILES[table.name][0], column


def test_a_clone_has_the_same_rules_and_none_of_the_ratings(db: Database) -> None:
    source = busy_project(db)
    projects.change(db, source.id, settings={"group_size": 6}, guidelines="Bold lines.")
    projects.set_reward(db, source.id, RewardWeights(1.0, {"clip_score": 0.5}))
    projects.pin_model(db, source.id, "abc")
    made = projects.get(db, clone(db, source.id, "Copy").id)
    assert (made.name, made.model, made.guidelines) == ("Copy", "starter", "Bold lines.")
    assert (made.model_revision, made.live_version_id) != (None, source.live_version_id)
    assert projects.config(db, made.id) == projects.config(db, source.id)
    assert projects.reward(db, made.id) == projects.reward(db, source.id)
    texts = [[p.text for p in prompts.active(db, one.id)] for one in (made, source)]
    assert texts[0] == texts[1]
    glance = overview.glance(db, made.id)
    assert (glance.ratings, glance.raters, glance.versions, glance.size) == (0, 0, 0, 0)


def test_starting_over_keeps_versions_and_ratings_and_retires_what_waits(db: Database) -> None:
    project = busy_project(db)
    before = overview.glance(db, project.id)
    assert status.status(db, project.id).usable_groups == 1
    start_over(db, project.id)
    now = status.status(db, project.id)
    assert (now.live_version, now.usable_groups, now.ready_groups) == (0, 0, 0)
    after = overview.glance(db, project.id)
    assert (after.ratings, after.versions) == (before.ratings, before.versions)
    rate(db, make_group(db, project))  # and on it goes, from the base
    assert versions.get(db, publish(db, project).parent_id).number == 0


def test_deleting_takes_every_row_and_leaves_the_neighbours(db: Database) -> None:
    project, other = busy_project(db), busy_project(db)
    neighbours = counts(db, other.id)
    full = {name for name, count in counts(db, project.id).items() if count}
    assert {"ratings", "rewards", "images", "samples", "version_files", "jobs"} <= full
    glance = overview.glance(db, project.id)
    keys = delete(db, project.id, "Test")
    assert len(keys) == 3 + 4 * 5  # files of a version; pictures and trajectory of each group
    assert glance.size == 3 * 3 + 10 * 4 * 5
    assert not any(counts(db, project.id).values())
    assert counts(db, other.id) == neighbours
    assert not references.keys(db) & set(keys) - {file.key for file in FILES.values()}
    with pytest.raises(NotFound):
        projects.get(db, project.id)
    if db.is_sqlite:
        with db.engine.connect() as connection:
            assert broken_references(connection) == 0
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.parametrize("typed", ["", "test", "Test2"])
def test_another_name_deletes_nothing(db: Database, typed: str) -> None:
    project = busy_project(db)
    before = counts(db, project.id)
    with pytest.raises(Invalid, match="letter by letter"):
        delete(db, project.id, typed)
    assert counts(db, project.id) == before


@pytest.mark.parametrize("act", [lambda db, id: delete(db, id, "Test"), start_over])
def test_neither_happens_during_an_update(db: Database, act) -> None:
    project = busy_project(db)
    update = updates.create(db, project.id)
    with pytest.raises(Conflict, match="under way") as refusal:
        act(db, project.id)
    assert refusal.value.extra == {"update_id": update.id}
    assert versions.live(db, project.id).number == 1


def test_the_starter_stays(db: Database) -> None:
    projects.ensure_starter(db, "starter", [])
    with pytest.raises(Conflict, match="archive it"):
        delete(db, STARTER_ID, "Starter")


def test_a_deletion_that_fails_half_way_deletes_nothing(db: Database, monkeypatch) -> None:
    project = busy_project(db)
    before = counts(db, project.id)
    remove = project_rows.remove

    def fail(session, project_id):
        remove(session, project_id)
        raise RuntimeError("the power went")

    monkeypatch.setattr(lifecycle.project_rows, "remove", fail)
    with pytest.raises(RuntimeError):
        delete(db, project.id, "Test")
    assert counts(db, project.id) == before


def test_a_job_that_runs_meanwhile_writes_nothing_more(db: Database) -> None:
    project = busy_project(db)
    waiting = jobs.enqueue(db, "rollout", project.id, priority=99)
    job = jobs.claim(db, "w", kinds=["rollout"])
    assert job is not None
    assert job.id == waiting.id
    delete(db, project.id, "Test")
    with pytest.raises(jobs.LostLease):
        jobs.progress(db, job, "sampling", 1, 2)
