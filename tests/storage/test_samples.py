from typing import Any

import pytest

from loop_studio.errors import Invalid, NotFound
from loop_studio.storage import groups, jobs, references, samples, status
from loop_studio.storage.database import Database
from loop_studio.storage.groups import NewImage
from tests.storage.studio import FILES, make_group, make_project, publish, rate, stored


def images(*positions: int) -> list[NewImage]:
    return [NewImage(i, seed=i, width=64, height=64, file=stored()) for i in positions]


def test_every_prompt_gets_every_seed_and_positions_fill_once(db: Database) -> None:
    project = make_project(db)
    made = samples.create(db, project.id, ["a fish", "a moon"], [5, 6], None, {"eta": 0.5})
    assert (made.status, made.kind, made.settings) == ("queued", "request", {"eta": 0.5})
    job = jobs.claim(db, "w", kinds=["samples"])
    assert job is not None
    assert (job.priority, job.payload) == (2, {"samples_id": made.id})
    samples.add_images(db, made.id, images(0, 1))
    first = samples.get(db, made.id)[1]
    samples.add_images(db, made.id, images(1, 2, 3))
    row, present = samples.get(db, made.id)
    assert [image.id for image in present[:2]] == [image.id for image in first]
    assert [image.prompt for image in present] == ["a fish", "a fish", "a moon", "a moon"]
    assert row.status == "running"
    jobs.finish(db, job, "succeeded")
    assert samples.get(db, made.id)[0].status == "succeeded"
    assert jobs.get(db, job.id).state == "succeeded"
    assert groups.image(db, present[0].id).key == present[0].key
    told = status.status(db, project.id)
    assert (told.ready_groups, told.ratings) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prompts": []}, "at least one prompt"),
        ({"seeds": []}, "at least one prompt and one seed"),
        ({"prompts": [" "]}, "must not be empty"),
        ({"seeds": list(range(257))}, "at most 256 images; this asks for 257"),
        ({"seeds": [-1]}, "seeds must be whole numbers"),
        ({"settings": {"eta": 0}}, "eta must be a number from above 0"),
        ({"settings": {"group_size": 8}}, "not 'group_size'"),
        ({"settings": {"learning_rate": 1}}, "not 'learning_rate'"),
    ],
)
def test_bad_requests_are_refused_with_a_sentence(
    db: Database, changes: dict[str, Any], sentence: str
) -> None:
    project = make_project(db)
    asked: dict[str, Any] = {"prompts": ["a fish"], "seeds": [1], "settings": {}, **changes}
    with pytest.raises(Invalid, match=sentence):
        samples.create(db, project.id, asked["prompts"], asked["seeds"], None, asked["settings"])
    assert jobs.claim(db, "w", kinds=["samples"]) is None


def test_samples_name_a_version_by_its_number(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    live = publish(db, project)
    assert samples.create(db, project.id, ["a"], [1], None, {}).version_id == live.id
    assert samples.create(db, project.id, ["a"], [1], 0, {}).version_id == live.parent_id
    with pytest.raises(NotFound, match="There is no version 7"):
        samples.create(db, project.id, ["a"], [1], 7, {})
    with pytest.raises(NotFound):
        samples.get(db, "nothing")


def test_every_file_that_a_row_names_is_known(db: Database) -> None:
    project = make_project(db)
    group = make_group(db, project)
    rate(db, group)
    publish(db, project)
    made = samples.create(db, project.id, ["a"], [1], None, {})
    samples.add_images(db, made.id, images(0))
    expected = {image.key for image in groups.images(db, group.id)}
    expected |= {group.trajectory_key or "", samples.get(db, made.id)[1][0].key}
    expected |= {file.key for file in FILES.values()}
    assert references.keys(db) == expected


def test_a_crash_between_file_and_row_leaves_only_a_file_that_no_row_names(
    db: Database, files: Any
) -> None:
    project = make_project(db)
    kept = files.put("a/kept.png", b"1")
    files.put("a/crashed.png", b"2")
    made = samples.create(db, project.id, ["a"], [1], None, {})
    samples.add_images(db, made.id, [NewImage(0, 1, 64, 64, kept)])
    assert set(files.keys()) - references.keys(db) == {"a/crashed.png"}
