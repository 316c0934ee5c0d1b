"""A person's data is removed: nothing tells of them any more, and what learned can learn again."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import text

from loop_studio.errors import Conflict, Invalid, NotFound
from loop_studio.storage import (
    audit,
    exporting,
    exports,
    forgetting,
    history,
    jobs,
    learned,
    provenance,
    reliability,
    retraining,
    status,
    updates,
    versions,
)
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore, StoredFile, new_key
from loop_studio.storage.learned import NewFit
from loop_studio.storage.schema import Base, Rating
from tests.storage.studio import FILES, make_group, make_project, rate, start_update
from tests.storage.test_version_tree import grow

NAME = "Ann-Sophie"


def everything(db: Database) -> str:
    """Every row of every table, as text."""
    with db.read() as session:
        names = [table.name for table in Base.metadata.sorted_tables]
        return "\n".join(
            str(session.execute(text(f'SELECT * FROM "{name}"')).all()) for name in names
        )


def rater_id(db: Database, project_id: str, name: str) -> str:
    views = reliability.of_raters(db, project_id)
    return next(view.id for view in views if view.name == name)


def test_nothing_tells_of_a_rater_whose_data_was_removed(db: Database, files: FileStore) -> None:
    project, other = make_project(db), make_project(db)
    version = grow(db, files, project, NAME, "bob")
    left = make_group(db, project)
    retraining.start(db, version.id, [rater_id(db, project.id, NAME)], [])
    again = jobs.claim(db, "w", kinds=["update"])
    assert again is not None
    assert again.update_id
    updates.start(db, again.update_id, again)
    branch = updates.publish(db, again, again.update_id, FILES, {})
    event = rate(db, left, rater=NAME)
    image = next(iter(event.judgement))
    history.remark(db, left.id, NAME, flagged=True, note="a note of mine")
    history.favour(db, image, NAME, favourite=True)
    rate(db, make_group(db, other), rater=NAME)
    assert versions.get(db, branch.id).name == f"Version 1 without {NAME}"

    before = forgetting.traces(db, NAME)
    assert [(one.ratings, one.used, one.remarks) for one in before] == [(2, 1, 2), (1, 0, 0)]
    assert [one.number for one in before[0].versions] == [1]
    assert forgetting.remove(db, files, NAME) == before

    held = everything(db)
    assert NAME not in held
    assert "a note of mine" not in held
    assert event.event_id not in held
    rows = [*exporting.rows(db, project.id), *exporting.rows(db, other.id)]
    assert [row.rater for row in rows] == ["bob"]
    assert [view.name for view in reliability.of_raters(db, project.id)] == ["bob"]
    told = status.status(db, project.id)
    assert (told.ratings, told.usable_groups, told.rated_groups) == (1, 0, 2)
    entries, _ = audit.entries(db, action="rater")
    assert [one.sentence for one in entries] == ["Removed a rater's data."] * 2
    with pytest.raises(NotFound):
        forgetting.traces(db, NAME)


def test_versions_that_learned_from_them_can_be_trained_again_without(
    db: Database, files: FileStore
) -> None:
    project = make_project(db)
    version = grow(db, files, project, NAME, "bob")
    [traces] = forgetting.remove(db, files, NAME)
    [part] = [
        one for one in provenance.provenance(db, project.id)[1].raters if one.id == traces.rater_id
    ]
    assert part.name.startswith("removed rater ")
    planned = retraining.plan(db, version.id, [traces.rater_id], [])
    assert (len(planned.left_out), planned.ratings) == (1, 1)
    assert retraining.start(db, version.id, [traces.rater_id], []).status == "queued"


def test_what_an_update_is_learning_from_is_not_taken_from_under_it(
    db: Database, files: FileStore
) -> None:
    project = make_project(db)
    rate(db, make_group(db, project), rater=NAME)
    update, _ = start_update(db, project)
    updates.claim_groups(db, update.id)
    with pytest.raises(Conflict, match="is running and learns from these ratings"):
        forgetting.remove(db, files, NAME)
    assert forgetting.traces(db, NAME)[0].ratings == 1


def test_their_groups_wait_for_others_again_and_the_learned_reward_learns_anew(
    db: Database, files: FileStore
) -> None:
    project = make_project(db)
    rate(db, make_group(db, project), rater="bob")
    rate(db, make_group(db, project), rater=NAME)
    with db.read() as session:
        last = max(row.sequence for row in session.query(Rating))
    learned.record(db, project.id, NewFit(None, last, 2, 2, {}, False, "too few"))
    assert status.status(db, project.id).ready_groups == 0
    forgetting.remove(db, files, NAME)
    assert status.status(db, project.id).ready_groups == 1
    fit = learned.latest(db, project.id)
    assert fit is not None
    assert fit.last_sequence == last - 1
    assert jobs.claim(db, "w", kinds=["fit_reward"]) is not None


def test_projects_that_were_packed_with_them_are_let_go(db: Database, files: FileStore) -> None:
    project = make_project(db)
    rate(db, make_group(db, project), rater=NAME)
    exports.create(db, project.id, "project")
    job = jobs.claim(db, "w", kinds=["export"])
    assert job is not None
    packed: StoredFile = files.put(new_key(".zip"), b"packed")
    exports.publish(db, job, packed, "project.zip")
    forgetting.remove(db, files, NAME)
    assert not files.path(packed.key).exists()
    with pytest.raises(NotFound, match="no longer kept"):
        exports.file(exports.get(db, job.id))


def test_the_name_is_free_again_and_starts_from_nothing(db: Database, files: FileStore) -> None:
    project = make_project(db)
    grow(db, files, project, NAME)
    forgetting.remove(db, files, NAME)
    rate(db, make_group(db, project), rater=NAME)
    [traces] = forgetting.traces(db, NAME)
    assert dataclasses.astuple(traces)[3:] == (1, 0, 0, [])


@pytest.mark.parametrize(("name", "error"), [("", Invalid), ("x" * 81, Invalid), ("no", NotFound)])
def test_an_unknown_name_removes_nothing(
    db: Database, files: FileStore, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        forgetting.remove(db, files, name)
