"""The pipeline's safety checker in the worker: on what it makes, and on what was there before."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from loop_studio.content import NO_CHECKER
from loop_studio.diffusion.safety import SafetyChecker
from loop_studio.jobs import pictures
from loop_studio.storage import groups, jobs, projects, samples, status
from loop_studio.storage.content import SET_ASIDE
from loop_studio.storage.schema import Group, Image, Project
from tests.diffusion.checker import save_checker
from tests.jobs.conftest import SETTINGS, Desk, only

EVERY, NONE = -2.0, 2.0  # thresholds of the concepts


@pytest.fixture(scope="module")
def checked_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checked") / "model"
    shutil.copytree(tiny_folder, folder)
    return save_checker(folder)


def project_on(desk: Desk, folder: Path, content: str) -> Project:
    listed = [("a prompt", [])]
    values = {**SETTINGS, "content": content}
    desk.project = projects.create(desk.db, "Checked", str(folder), listed, values)
    return desk.project


def stored(desk: Desk) -> list[Image]:
    with desk.db.read() as session:
        return list(session.query(Image).join(Group, Group.id == Image.group_id))


def enqueue(desk: Desk) -> None:
    groups.next_for(desk.db, desk.project.id, "ann")  # nobody is there: groups are asked for
    only(desk, "rollout")


def test_verdicts_do_not_hang_on_batch_or_number_format(checked_folder: Path) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (20, 24, 32, 3), dtype=np.uint8)
    checker = SafetyChecker.load(checked_folder, torch.device("cpu"), torch.float32)
    verdicts = checker.sensitive(drawn)
    assert verdicts == [checker.sensitive(one[None])[0] for one in drawn]
    half = SafetyChecker.load(checked_folder, torch.device("cpu"), torch.bfloat16)
    assert half.checker.dtype == torch.bfloat16
    assert len(half.sensitive(drawn)) == 20
    for threshold, expected in ((EVERY, True), (NONE, False)):
        checker.checker.concept_embeds_weights.fill_(threshold)
        assert set(checker.sensitive(drawn)) == {expected}
    assert drawn.any()  # the checker blackens what it is given, and was given nothing of ours


def test_a_rollout_stores_the_verdict_of_every_picture(desk: Desk, checked_folder: Path) -> None:
    project = project_on(desk, checked_folder, "block")
    checker = desk.worker.bench.models.safety_checker(project, projects.config(desk.db, project.id))
    assert checker is not None
    enqueue(desk)
    images = stored(desk)
    assert images
    for image in images:
        opened = np.asarray(pictures.opened(desk.files, image.key))
        [verdict] = checker.sensitive(opened[None])
        assert image.sensitive is verdict
        assert image.withheld == ("sensitive" if verdict else None)


def test_where_every_picture_is_flagged_groups_are_set_aside(
    desk: Desk, checked_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(checked_folder, tmp_path / "model")
    save_checker(folder, EVERY)
    project = project_on(desk, folder, "block")
    enqueue(desk)
    images = stored(desk)
    assert {image.withheld for image in images} == {"sensitive"}
    assert groups.get(desk.db, images[0].group_id or "").retired_reason == SET_ASIDE
    assert groups.next_for(desk.db, project.id, "ann") is None


def test_samples_are_checked_and_older_pictures_are_once_it_is_switched_on(
    desk: Desk, checked_folder: Path
) -> None:
    project = project_on(desk, checked_folder, "off")
    enqueue(desk)
    asked = samples.create(desk.db, project.id, ["a prompt"], [1, 2], None, {})
    only(desk, "samples")
    assert {image.sensitive for image in stored(desk)} == {None}
    projects.change(desk.db, project.id, settings={"content": "blur"})
    only(desk, "score")
    more = samples.create(desk.db, project.id, ["a prompt"], [3], None, {})
    only(desk, "samples")
    looked_at = [
        *stored(desk),
        *samples.get(desk.db, asked.id)[1],
        *samples.get(desk.db, more.id)[1],
    ]
    assert len(looked_at) > 6
    assert {type(image.sensitive) for image in looked_at} == {bool}


def test_a_damaged_checker_stops_generation_with_a_sentence(
    desk: Desk, checked_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(checked_folder, tmp_path / "model")
    weights = folder / "safety_checker" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    project = project_on(desk, folder, "blur")
    enqueue(desk)
    told = status.status(desk.db, project.id)
    assert told.generation == "paused"
    assert "truncated or damaged" in told.generation_reason
    projects.change(desk.db, project.id, settings={"content": "off"})
    assert status.status(desk.db, project.id).generation != "paused"


def test_blocking_without_a_checker_makes_no_group_and_says_so(desk: Desk) -> None:
    projects.change(desk.db, desk.project.id, settings={"content": "block"})
    job = jobs.enqueue(desk.db, "check_model", desk.project.id)
    only(desk, "check_model")
    ended = jobs.get(desk.db, job.id)
    assert (ended.state, ended.error_detail) == ("failed", NO_CHECKER)
    projects.change(desk.db, desk.project.id, settings={"content": "blur"})
    enqueue(desk)
    assert {image.sensitive for image in stored(desk)} == {None}
