"""Versions as a tree that people tend: names, pins, deletion with its files, what made each."""

from __future__ import annotations

import pytest

from loop_studio.errors import Conflict, Invalid, NotFound
from loop_studio.storage import (
    comparing,
    groups,
    jobs,
    orders,
    projects,
    provenance,
    ratings,
    samples,
    scores,
    updates,
    versions,
)
from loop_studio.storage.database import Database
from loop_studio.storage.deleting import delete_version
from loop_studio.storage.files import FileStore, new_key
from loop_studio.storage.groups import NewImage
from loop_studio.storage.schema import Group, Project, Version
from loop_studio.storage.updates import NewInput
from tests.storage.studio import gesture, make_group, make_project, rate, start_update


def grow(db: Database, files: FileStore, project: Project, *raters: str) -> Version:
    """The next version, learned from a group by each of these raters, with files of its own."""
    for rater in raters or ("ann",):
        rate(db, make_group(db, project), rater)
    update, job = start_update(db, project)
    parent = versions.get(db, update.parent_id)
    claimed = updates.claim_groups(db, update.id)
    rows = [
        NewInput(
            group_id=row.group_id,
            image_id=image,
            source="human",
            rater_id=row.rater_id,
            rating_sequence=row.sequence,
            mode=row.mode,
            reward=reward,
            source_weight=1.0,
            advantage=reward - 0.25,
            lag=0,
        )
        for row in updates.judgements(db, [group.id for group in claimed])
        for image, reward in row.rewards.items()
    ]
    updates.record_inputs(db, update.id, rows, {})
    stored = {kind: files.put(new_key(".safetensors"), kind.encode()) for kind in FILES}
    made = updates.publish(db, job, update.id, stored, {})
    assert made.parent_id == parent.id
    return made


FILES = ("resume", "diffusers", "kohya")


@pytest.fixture
def project(db: Database) -> Project:
    return make_project(db, overlap=2)


def key_of(db: Database, version: Version, kind: str) -> str:
    return versions.file(db, version.id, kind).key


def render(db: Database, files: FileStore, version: Version) -> list[str]:
    """The version's probe wall, as the worker would finish it; the ids of its images."""
    wall = samples.probe(db, version.id)
    assert wall is not None
    cells = [(text, seed) for text in wall[0].prompts for seed in wall[0].seeds["seeds"]]
    samples.add_images(
        db,
        wall[0].id,
        [
            NewImage(place, seed, 8, 8, files.put(new_key(".png"), b"png"), text)
            for place, (text, seed) in enumerate(cells)
        ],
    )
    return [image.id for image in samples.get(db, wall[0].id)[1]]


def test_a_version_is_named_noted_and_marked(db: Database, files: FileStore, project) -> None:
    version = grow(db, files, project)
    versions.change(db, version.id, name=" Soft ", note="less\nbold")
    versions.change(db, version.id, pinned=True, kept=True)
    told = versions.get(db, version.id)
    assert (told.name, told.note, told.pinned, told.kept) == ("Soft", "less\nbold", True, True)
    assert versions.change(db, version.id, name="").name is None
    with pytest.raises(Invalid, match="at most 200"):
        versions.change(db, version.id, name="x" * 201)


def test_a_deleted_version_frees_its_files_and_leaves_what_was_judged(
    db: Database, files: FileStore, project
) -> None:
    first, second = grow(db, files, project), grow(db, files, project)
    judged, unjudged = make_group(db, project), make_group(db, project)
    rate(db, judged)
    pictures = [groups.image(db, one).key for one in render(db, files, second)]
    loras = [key_of(db, second, kind) for kind in FILES]
    versions.activate(db, first.id)
    freed = delete_version(db, files, second.id)
    assert freed == sum(map(len, FILES)) + 3 * len(pictures) + judged.trajectory_size * 2
    assert not [key for key in (*loras, *pictures) if files.path(key).exists()]
    assert [row.number for row in versions.list(db, project.id)] == [0, 1]
    for group in (judged, unjudged):
        told = groups.get(db, group.id)
        assert (told.usable, told.trajectory_key) == (False, None)
        assert "Version 2, which made the group, was deleted" in (told.retired_reason or "")
    assert len(groups.images(db, judged.id)) == 4, "what a rater has judged stays to be seen"
    for act in (versions.activate, versions.change):
        with pytest.raises(NotFound, match="Version 2 was deleted"):
            act(db, second.id)
    with pytest.raises(NotFound, match="deleted with its files"):
        versions.file(db, second.id, "diffusers")
    with pytest.raises(NotFound, match="was deleted"):
        delete_version(db, files, second.id)
    with pytest.raises(NotFound, match="was deleted"):
        versions.by_number(db, project.id, 2)
    third = grow(db, files, project)
    assert (third.number, third.parent_id) == (3, first.id), "a number never comes again"


def test_what_stands_or_is_needed_is_not_deleted(db: Database, files: FileStore, project) -> None:
    base = versions.live(db, project.id)
    first, second = grow(db, files, project), grow(db, files, project)
    refusals = {
        base.id: ("version_is_base", "always stays"),
        first.id: ("version_has_children", "From version 1 grew version 2"),
        second.id: ("version_is_live", "make another version live first"),
    }
    for version_id, (code, sentence) in refusals.items():
        with pytest.raises(Conflict, match=sentence) as refused:
            delete_version(db, files, version_id)
        assert refused.value.code == code
    versions.activate(db, first.id)
    versions.change(db, second.id, pinned=True)
    with pytest.raises(Conflict, match="take the pin off"):
        delete_version(db, files, second.id)
    versions.change(db, second.id, pinned=False)
    rate(db, make_group(db, project, second))  # late and of another branch: it teaches all the same
    third = grow(db, files, project)
    versions.change(db, third.id, kept=True)
    with pytest.raises(Conflict, match="version 3 is kept for training again"):
        delete_version(db, files, second.id)
    versions.change(db, third.id, kept=False)
    rate(db, make_group(db, project))
    update, _job = start_update(db, project)
    updates.claim_groups(db, update.id)
    versions.activate(db, second.id)
    with pytest.raises(Conflict, match="is running and needs version 3"):
        delete_version(db, files, third.id)
    assert len(versions.list(db, project.id)) == 4


def test_provenance_says_whose_ratings_and_which_settings_made_a_version(
    db: Database, files: FileStore, project
) -> None:
    first = grow(db, files, project, "ann", "ann", "ben")
    projects.change(db, project.id, settings={"learning_rate": 0.5})
    second = grow(db, files, project, "ben")
    base, told, later = provenance.provenance(db, project.id)
    assert (base.update, base.bytes, base.changed) == (None, 0, {})
    assert (told.version_id, told.update, told.groups, told.ratings) == (first.id, 1, 3, 3)
    assert [(part.name, part.ratings) for part in told.raters] == [("ann", 2), ("ben", 1)]
    assert told.bytes == sum(map(len, FILES))
    assert told.reward is not None
    assert (told.reward["human"], told.reward["models"]) == (1.0, {})
    assert told.changed == {}
    assert later.changed == {"learning_rate": [2e-3, 0.5]}
    used, more = provenance.ratings_of(db, second.id)
    assert [(one.rater, one.update) for one in used] == [
        ("ben", 2),
        ("ben", 1),
        ("ann", 1),
        ("ann", 1),
    ]
    assert not more


def test_rewards_of_two_versions_differ_picture_by_picture(
    db: Database, files: FileStore, project
) -> None:
    first, second = grow(db, files, project), grow(db, files, project)
    walls = [render(db, files, version) for version in (first, second)]
    assert comparing.differences(db, first.id, second.id) == []
    rows = [(one, "clip_score", "v1", 0.1 * place) for place, one in enumerate(walls[0])]
    rows += [(one, "clip_score", "v1", 0.1 * place + 0.5) for place, one in enumerate(walls[1])]
    rows += [(one, "old", f"v{wall}", 1.0) for wall in (0, 1) for one in walls[wall]]
    scores.put(db, rows)
    [told] = comparing.differences(db, first.id, second.id)
    assert (told.source, told.n) == ("clip_score", 6)
    assert told.mean == pytest.approx(0.5)
    assert (told.low, told.high) == (pytest.approx(0.5), pytest.approx(0.5)), "they are paired"
    assert told.second - told.first == pytest.approx(0.5)


def test_a_probe_that_failed_is_made_again_when_someone_asks(
    db: Database, files: FileStore, project
) -> None:
    version = grow(db, files, project)
    [first, second] = [jobs.claim(db, "w", kinds=["samples"]) for _ in range(2)]
    assert first is not None
    assert second is not None
    jobs.finish(db, second, "failed", "x", "It broke.")
    wall = samples.ask_for_probe(db, version.id)
    assert wall is not None
    assert wall.status == "queued"
    again = jobs.claim(db, "w", kinds=["samples"])
    assert again is not None
    assert (again.payload["samples_id"], again.priority) == (wall.id, 2)
    jobs.progress(db, again, "sampling", 3, 6)
    progress = samples.progress(db, wall)
    assert (progress.done, progress.total) == (0, 6)
    assert progress.eta_s is not None


@pytest.mark.parametrize("weight", [-0.1, 1.6, True, "1", float("nan"), None])
def test_a_weight_out_of_its_range_is_refused(db: Database, project, weight) -> None:
    with pytest.raises(Invalid, match="adapter_weight must be a number from 0 to"):
        samples.create(db, project.id, ["a fish"], [1], 0, {"adapter_weight": weight})
    made = samples.create(db, project.id, ["a fish"], [1], 0, {"adapter_weight": 1.5})
    assert made.settings == {"adapter_weight": 1.5}


def test_an_order_keeps_its_prompt_off_the_list_and_is_refused_while_nobody_is_asked(
    db: Database, project
) -> None:
    job = orders.create(db, project.id, "a green car", ["car"], 0, 7, "ann")
    assert orders.get(db, job.id).payload["seed"] == 7
    again = orders.create(db, project.id, " a green car", [], None, None, None)
    assert again.payload["prompt_id"] == job.payload["prompt_id"]
    with db.read() as session:
        assert session.query(Group).count() == 0
    projects.set_reward(db, project.id, projects.RewardWeights(0.0, {"clip_score": 1.0}))
    with pytest.raises(Conflict, match="no weight in the reward"):
        orders.create(db, project.id, "a green car", [], 0, None, None)
    with pytest.raises(NotFound):
        orders.get(db, jobs.enqueue(db, "housekeeping").id)


def test_ratings_of_a_deleted_version_stay(db: Database, files: FileStore, project) -> None:
    base = versions.live(db, project.id)
    version = grow(db, files, project)
    late = make_group(db, project, version)
    versions.activate(db, base.id)
    delete_version(db, files, version.id)
    told = ratings.record(db, ratings.RatingIn("late", late.id, "ann", "best", gesture(db, late)))
    assert (told.status, told.usable) == ("active", False)
    assert "was deleted" in told.reason
