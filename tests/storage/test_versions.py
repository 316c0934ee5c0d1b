import pytest

from loop_studio.errors import NotFound
from loop_studio.storage import groups, jobs, projects, samples, versions
from loop_studio.storage.database import Database
from loop_studio.storage.schema import Project
from tests.storage.studio import (
    judge,
    make_group,
    make_project,
    publish,
    rate,
    shares_of_none,
    skip,
)


def next_version(db: Database, project: Project) -> versions.Version:
    rate(db, make_group(db, project))
    return publish(db, project)


def test_version_zero_is_always_there_and_has_no_lora(db: Database) -> None:
    project = make_project(db)
    base = versions.live(db, project.id)
    assert [row.id for row in versions.list(db, project.id)] == [base.id]
    with pytest.raises(NotFound, match="has no LoRA") as refused:
        versions.file(db, base.id, "diffusers")
    assert refused.value.code == "base_has_no_lora"
    with pytest.raises(NotFound, match="There is no version 1"):
        versions.by_number(db, project.id, 1)
    with pytest.raises(NotFound):
        versions.get(db, None)
    with pytest.raises(NotFound):
        versions.list(db, "nowhere")


def test_files_of_a_version_are_found_by_kind(db: Database) -> None:
    project = make_project(db)
    version = next_version(db, project)
    assert versions.file(db, version.id, "resume").size == 3
    with pytest.raises(NotFound, match="Version 1 has no onnx file"):
        versions.file(db, version.id, "onnx")


def test_activation_is_repeatable_and_grows_a_tree(db: Database) -> None:
    project = make_project(db)
    base = versions.live(db, project.id)
    first, second = next_version(db, project), next_version(db, project)
    for _ in range(2):
        assert versions.activate(db, first.id).id == first.id
    assert versions.live(db, project.id).id == first.id
    third = next_version(db, project)
    assert third.parent_id == first.id
    lags = {
        (one, other): versions.lags(db, [one.id], other.id)[one.id]
        for one, other in ((base, base), (base, third), (third, base), (second, third))
    }
    assert list(lags.values()) == [0, 2, 2, 2]


def test_groups_off_the_live_line_are_retired_and_judged_ones_are_not(db: Database) -> None:
    project = make_project(db)
    base = versions.live(db, project.id)
    first = next_version(db, project)
    on_base, unjudged, judged = (
        make_group(db, project, base),
        make_group(db, project, first),
        make_group(db, project, first),
    )
    rate(db, judged)
    versions.activate(db, base.id)
    assert "does not descend" in (groups.get(db, unjudged.id).retired_reason or "")
    assert groups.get(db, judged.id).retired_reason is None
    assert groups.get(db, on_base.id).retired_reason is None


def test_groups_more_than_eight_versions_behind_are_retired(db: Database) -> None:
    project = make_project(db)
    base = versions.live(db, project.id)
    oldest = make_group(db, project, base)
    published = [next_version(db, project) for _ in range(8)]
    younger = make_group(db, project, published[0])
    assert groups.get(db, oldest.id).retired_reason is None
    next_version(db, project)
    assert "more than 8 versions" in (groups.get(db, oldest.id).retired_reason or "")
    assert groups.get(db, younger.id).retired_reason is None


def test_metrics_are_merged(db: Database) -> None:
    project = make_project(db)
    version = next_version(db, project)
    versions.set_metrics(db, version.id, {"a": 1})
    versions.set_metrics(db, version.id, {"b": 2})
    assert versions.get(db, version.id).metrics == {"a": 1, "b": 2}


def test_none_is_good_is_counted_for_each_version_by_what_holds_now(db: Database) -> None:
    project = make_project(db)
    assert shares_of_none(db, project) == {}
    first = next_version(db, project)  # by a judgement of a group of version 0 that has a best
    base = versions.by_number(db, project.id, 0)
    for best in ([0.0] * 4, [1.0, 0.0, 0.5, 0.0], [0.5] * 4, [0.0] * 4):
        judge(db, make_group(db, project, first), "best", best)
    judge(db, make_group(db, project, first), "stars", [1.0] * 4)
    skip(db, make_group(db, project, first))
    assert shares_of_none(db, project) == {base.id: 0.0, first.id: 0.5}


def test_every_version_gets_the_same_probe_wall_and_the_base_gets_one_too(db: Database) -> None:
    project = make_project(db)
    base = versions.live(db, project.id)
    version = next_version(db, project)
    projects.change(db, project.id, settings={"guidance_scale": 7.0})
    later = next_version(db, project)
    with db.write() as session:
        again = samples.create_probe(session, later)
    of_later = samples.probe(db, later.id)
    assert again is not None
    assert of_later is not None
    assert of_later[0].id == again.id
    of_base, of_version = samples.probe(db, base.id), samples.probe(db, version.id)
    assert of_base is not None
    assert of_version is not None
    assert of_base[0].prompts == of_version[0].prompts == ["a red fish", "a blue moon", "two stars"]
    assert of_base[0].revision_id == of_later[0].revision_id, "walls of other settings differ"
    probes = [jobs.claim(db, "w", kinds=["samples"]) for _ in range(4)]
    assert [job.priority if job else None for job in probes] == [-1, -1, -1, None]
