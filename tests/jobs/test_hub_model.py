"""A project on a hub id stays with the commit it began with. The hub is its own cache, offline."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from loop_studio.errors import ModelUnusable
from loop_studio.jobs.models import Models
from loop_studio.library import load_policy
from loop_studio.storage import projects, versions
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.schema import Project
from tests import tiny
from tests.jobs.conftest import SETTINGS, Desk

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two commits of `owner/name` that differ in their prediction type."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    home = tmp_path / "hub" / "models--owner--name"
    tiny.save_folder(home / "snapshots" / OLD)
    tiny.save_folder(home / "snapshots" / NEW, prediction_type="v_prediction")
    (home / "refs").mkdir()
    point(home, "main", OLD)
    return home


def point(home: Path, branch: str, commit: str) -> None:
    (home / "refs" / branch).write_text(commit)


def made(db: Database, model: str) -> Project:
    return projects.create(db, "Hub", model, [("a cat", [])], SETTINGS)


def kind_loaded(desk: Desk, project: Project) -> str:
    """Load by a worker that has just started; says which commit it got."""
    models = Models(desk.db, desk.files, desk.worker.bench.models.device)
    project = projects.get(desk.db, project.id)
    config, live = projects.config(desk.db, project.id), versions.live(desk.db, project.id)
    return models.ready(project, config, "live", live).schedule.prediction_type


def test_a_project_stays_with_the_commit_of_its_first_load(desk: Desk, hub: Path) -> None:
    first = made(desk.db, "owner/name")
    assert projects.get(desk.db, first.id).model_revision is None
    assert kind_loaded(desk, first) == "epsilon"
    assert projects.get(desk.db, first.id).model_revision == OLD
    point(hub, "main", NEW)
    assert kind_loaded(desk, first) == "epsilon"
    assert projects.get(desk.db, first.id).model_revision == OLD
    second = made(desk.db, "owner/name")
    assert kind_loaded(desk, second) == "v_prediction"
    assert projects.get(desk.db, second.id).model_revision == NEW


def test_a_branch_or_a_commit_may_be_asked_for(desk: Desk, hub: Path) -> None:
    point(hub, "next", NEW)
    for revision in ("next", NEW):
        project = made(desk.db, f"owner/name@{revision}")
        assert kind_loaded(desk, project) == "v_prediction"
        assert projects.get(desk.db, project.id).model_revision == NEW
    assert load_policy("owner/name@next").schedule.prediction_type == "v_prediction"
    assert load_policy("owner/name").schedule.prediction_type == "epsilon"


def test_two_projects_on_two_commits_share_one_worker(desk: Desk, hub: Path) -> None:
    old, new = made(desk.db, f"owner/name@{OLD}"), made(desk.db, f"owner/name@{NEW}")
    models = desk.worker.bench.models
    for project, kind in ((old, "epsilon"), (new, "v_prediction"), (old, "epsilon")):
        config, live = projects.config(desk.db, project.id), versions.live(desk.db, project.id)
        policy = models.ready(project, config, "live", live)
        assert policy.schedule.prediction_type == kind
        assert models.ready(project, config, "live", live) is policy


@pytest.mark.parametrize(
    "model", ["owner/name@nowhere", f"owner/name@{'c' * 40}", "nobody/nothing"]
)
def test_what_cannot_be_had_is_told_in_one_sentence(desk: Desk, hub: Path, model: str) -> None:
    project = made(desk.db, model)
    name = model.replace("@", " at ")
    with pytest.raises(ModelUnusable, match=f"The model {name} is neither on this machine nor"):
        kind_loaded(desk, project)
    assert projects.get(desk.db, project.id).model_revision is None


def test_a_commit_that_was_deleted_here_is_not_replaced_by_another(
    desk: Desk, hub: Path, files: FileStore
) -> None:
    project = made(desk.db, "owner/name")
    kind_loaded(desk, project)
    point(hub, "main", NEW)
    shutil.rmtree(hub / "snapshots" / OLD)
    with pytest.raises(ModelUnusable, match=f"owner/name at {OLD} is neither"):
        kind_loaded(desk, project)
