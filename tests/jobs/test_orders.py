"""Versions at work: live again at once, weighed, ordered from, and refused when tampered with."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image as Pictures

from loop_studio.storage import groups, orders, projects, samples, updates, versions
from loop_studio.storage.schema import Version
from tests.jobs.conftest import Desk


def learn(desk: Desk, count: int = 2) -> Version:
    desk.rate(count)
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    return versions.get(desk.db, updates.get(desk.db, update.id).version_id)


def draw(desk: Desk, version: int, **settings: object) -> np.ndarray:
    wanted = samples.create(desk.db, desk.project.id, ["a fish"], [5], version, settings)
    desk.work()
    row, [image] = samples.get(desk.db, wanted.id)
    assert row.status == "succeeded"
    with desk.files.open(image.key) as file:
        return np.asarray(Pictures.open(file).convert("RGB")).astype(int)


def test_the_weight_leads_from_the_base_to_the_version_and_beyond(desk: Desk) -> None:
    learn(desk)
    projects.change(desk.db, desk.project.id, settings={"trained_steps": "all"})
    base, own = draw(desk, 0), draw(desk, 1)
    assert (draw(desk, 1, adapter_weight=0.0) == base).all()
    assert (draw(desk, 1, adapter_weight=1.0) == own).all()
    half, more = draw(desk, 1, adapter_weight=0.5), draw(desk, 1, adapter_weight=1.5)
    far = [int(np.abs(picture - base).sum()) for picture in (half, own, more)]
    assert 0 < far[0] < far[1] < far[2]
    assert (draw(desk, 1) == own).all(), "no weight stays behind"


def test_a_group_ordered_from_an_older_version_is_judged_first_and_learned_from(
    desk: Desk,
) -> None:
    first = learn(desk)
    learn(desk)
    projects.change(desk.db, desk.project.id, settings={"min_groups": 1})
    job = orders.create(desk.db, desk.project.id, "a fish of one's own", [], 1, 5, "eve")
    desk.work()
    assert orders.get(desk.db, job.id).state == "succeeded"
    shown = groups.next_for(desk.db, desk.project.id, "eve")
    assert shown is not None
    assert (shown.version, shown.prompt) == (1, "a fish of one's own")
    images = groups.images(desk.db, shown.id)
    assert len(images) == 4
    assert images[0].seed == 5
    judged = desk.rate(1, "eve")
    assert judged == [shown.id]
    update = updates.create(desk.db, desk.project.id)
    desk.work()
    assert updates.get(desk.db, update.id).status == "succeeded"
    assert shown.id in {row.group_id for row in updates.inputs(desk.db, update.id)}, "it replays"
    assert groups.get(desk.db, shown.id).version_id == first.id


def test_an_older_version_serves_within_seconds_and_grows_a_branch(desk: Desk) -> None:
    first, second = learn(desk), learn(desk)
    began = time.monotonic()
    versions.activate(desk.db, first.id)
    job = orders.create(desk.db, desk.project.id, "a fish", [], None, None, "eve")
    while orders.get(desk.db, job.id).state != "succeeded":
        assert desk.worker.run_next()
    assert time.monotonic() - began < 5
    shown = groups.next_for(desk.db, desk.project.id, "eve")
    assert shown is not None
    assert shown.version == 1
    third = learn(desk)
    assert (third.number, third.parent_id) == (3, first.id)
    assert second.id in {version.id for version in versions.list(desk.db, desk.project.id)}


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_tampered_file_is_told_and_harms_nothing_else(desk: Desk, damage: str) -> None:
    version = learn(desk)
    base = versions.by_number(desk.db, desk.project.id, 0)
    versions.activate(desk.db, base.id)
    path = desk.files.path(versions.file(desk.db, version.id, "resume").key)
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    learn(desk)  # another version of the same parent fills the worker's slots
    versions.activate(desk.db, version.id)
    desk.worker.bench.models._slots.clear()  # as after a restart
    job = orders.create(desk.db, desk.project.id, "a fish", [], None, None, None)
    desk.work()
    told = orders.get(desk.db, job.id)
    assert (told.state, told.error_code) == ("failed", f"file_{damage}")
    assert "The resume file of version 1" in (told.error_detail or "")
    assert "or make another version live" in (told.error_detail or "")
    path.write_bytes(whole)
    projects.set_generation_error(desk.db, desk.project.id, None)
    job = orders.create(desk.db, desk.project.id, "a fish", [], None, None, None)
    desk.work()
    assert orders.get(desk.db, job.id).state == "succeeded"
