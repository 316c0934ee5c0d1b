import math

import pytest
from sqlalchemy import select

from loop_studio.errors import Invalid, NotFound
from loop_studio.storage import groups, jobs, projects, prompts, status, versions
from loop_studio.storage.database import Database
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Job, SettingsRevision
from tests.storage.studio import TEXTS, make_group, make_project, rate


def job_states(db: Database) -> list[str]:
    with db.read() as session:
        return sorted(session.scalars(select(Job.state)))


def test_the_starter_is_made_once_and_comes_first(db: Database) -> None:
    made = make_project(db)
    for _ in range(2):
        projects.ensure_starter(db, "starter", [("a fish", []), ("a blorp", ["blorp"])])
    first, second = projects.all(db)
    assert (first.id, first.name, second.id) == ("starter", "Starter", made.id)
    assert [prompt.unknown_words for prompt in prompts.active(db, first.id)] == [[], ["blorp"]]
    assert versions.live(db, first.id).number == 0
    assert projects.reward(db, first.id) == RewardWeights(1.0, {})
    projects.change(db, "starter", name="Mine")
    projects.ensure_starter(db, "starter", [("a fish", [])])
    assert [project.name for project in projects.all(db)] == ["Mine", "Test"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_a_project_has_a_name(db: Database, name: str) -> None:
    with pytest.raises(Invalid, match="1 to 200 characters"):
        projects.create(db, name, "starter", [], {})
    project = make_project(db)
    with pytest.raises(Invalid, match="1 to 200 characters"):
        projects.change(db, project.id, name=name)


def test_a_refused_project_leaves_nothing_behind(db: Database) -> None:
    with pytest.raises(Invalid, match="group_size must be a whole number from 2 to 16"):
        projects.create(db, "P", "starter", [("a fish", [])], {"group_size": 1})
    with pytest.raises(Invalid, match="must not be empty"):
        projects.create(db, "P", "starter", [("a fish", []), (" ", [])], {})
    assert projects.all(db) == []


def test_settings_are_merged_into_a_new_revision_and_old_ones_stay(db: Database) -> None:
    project = make_project(db)
    before = project.revision_id
    changed = projects.change(db, project.id, settings={"overlap": 3})
    assert projects.config(db, project.id).overlap == 3
    assert projects.config(db, project.id).buffer_groups == 1
    assert projects.revision(db, before or "").config.overlap == 1
    assert projects.revision(db, changed.revision_id or "").number == 2
    same = projects.change(db, project.id, settings={"overlap": 3})
    assert same.revision_id == changed.revision_id
    with pytest.raises(Invalid, match="overlap must be a whole number from 1 to 100"):
        projects.change(db, project.id, name="New", settings={"overlap": 0})
    assert projects.get(db, project.id).name == "Test"


def test_settings_that_an_earlier_release_stored_are_read_without_those_that_are_gone(
    db: Database,
) -> None:
    project = make_project(db, kl_weight=0.5)
    with db.write() as session:
        row = session.scalars(select(SettingsRevision)).one()
        row.values = row.values | {"anchor_steps": 2}
    assert projects.config(db, project.id).kl_weight == 0.5
    projects.change(db, project.id, settings={"passes": 3})
    assert projects.config(db, project.id).passes == 3


def test_new_generation_settings_retire_unjudged_groups_and_cancel_queued_rollouts(
    db: Database,
) -> None:
    project = make_project(db, buffer_groups=5)
    judged, unjudged = make_group(db, project), make_group(db, project)
    rate(db, judged)
    assert jobs.claim(db, "w", kinds=["rollout"]) is not None
    queued = job_states(db).count("queued")
    assert queued > 0
    projects.change(db, project.id, settings={"min_groups": 2})
    assert groups.get(db, unjudged.id).retired_reason is None
    projects.change(db, project.id, settings={"eta": 0.5})
    assert groups.get(db, judged.id).retired_reason is None
    assert "settings were changed" in (groups.get(db, unjudged.id).retired_reason or "")
    assert job_states(db) == ["cancelled"] * queued + ["running"]
    assert status.status(db, project.id).usable_groups == 1


def test_a_group_that_was_under_way_when_the_settings_changed_is_born_retired(
    db: Database,
) -> None:
    project = make_project(db)
    prompt = prompts.active(db, project.id)[0]
    made = make_group(db, project)
    projects.change(db, project.id, settings={"guidance_scale": 5.0, "overlap": 2})
    late = groups.record(
        db,
        job=None,
        project_id=project.id,
        prompt_id=prompt.id,
        version_id=versions.live(db, project.id).id,
        revision_id=made.revision_id,
        images=[],
        trajectory=projects_file(),
    )
    assert late.retired_reason is not None
    projects.change(db, project.id, settings={"overlap": 1})
    assert make_group(db, project).retired_reason is None


def projects_file() -> groups.StoredFile:
    return groups.StoredFile("a/b.safetensors", "0" * 64, 1)


def test_reward_weights_are_revised_and_checked(db: Database) -> None:
    project = make_project(db)
    projects.set_reward(db, project.id, RewardWeights(0.5, {"clip_score": 2.0}))
    assert projects.reward(db, project.id) == RewardWeights(0.5, {"clip_score": 2.0})
    assert projects.config(db, project.id).min_groups == 1
    for human, model in ((0.0, 0.0), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.inf)):
        with pytest.raises(Invalid, match="weight"):
            projects.set_reward(db, project.id, RewardWeights(human, {"clip_score": model}))
    assert projects.reward(db, project.id).human == 0.5


def test_only_active_projects_are_refilled(db: Database) -> None:
    project = make_project(db)
    assert [row.id for row in projects.active(db)] == [project.id]
    with db.write() as session:
        found = session.get(projects.Project, project.id)
        assert found is not None
        found.active_until = None
    assert projects.active(db) == []
    assert jobs.refill(db, project.id) == 0
    assert groups.next_for(db, project.id, "ann") is None  # a rater comes back
    assert status.status(db, project.id).generating_groups == 1


@pytest.mark.parametrize("why", ["archived", "weight", "model", "prompts"])
def test_a_paused_project_is_not_refilled_and_says_why(db: Database, why: str) -> None:
    project = make_project(db)
    if why == "archived":
        projects.change(db, project.id, archived=True)
    elif why == "weight":
        projects.set_reward(db, project.id, RewardWeights(0.0, {"clip_score": 1.0}))
    elif why == "model":
        projects.set_generation_error(db, project.id, "The model folder is gone.")
    else:
        project = projects.create(db, "Empty", "starter", [], {})
    assert jobs.refill(db, project.id) == 0
    told = status.status(db, project.id)
    assert told.generation == "paused"
    assert told.generation_reason.endswith(".")


def test_an_archived_project_makes_no_more_groups(db: Database) -> None:
    project = make_project(db)
    assert jobs.refill(db, project.id) > 0
    projects.change(db, project.id, archived=True)
    assert jobs.claim(db, "w", ["rollout"]) is None
    projects.change(db, project.id, archived=False)
    assert jobs.refill(db, project.id) > 0


def test_prompts_keep_their_ids_and_newcomers_take_their_turn(db: Database) -> None:
    project = make_project(db, buffer_groups=6)
    before = {prompt.text: prompt.id for prompt in prompts.active(db, project.id)}
    jobs.refill(db, project.id)
    after = prompts.replace(db, project.id, [("new", []), (TEXTS[0], []), (" new ", [])])
    assert [prompt.text for prompt in after] == ["new", TEXTS[0]]
    assert after[1].id == before[TEXTS[0]]
    assert [prompt.turns for prompt in after] == [2, 2]
    assert prompts.get(db, before[TEXTS[1]]).active is False


def test_bad_prompts_are_refused_and_the_list_stays(db: Database) -> None:
    project = make_project(db)
    for listed in ([], [""], ["fine", "\n"], ["x" * 1001]):
        with pytest.raises(Invalid, match=r"[Pp]rompt"):
            prompts.replace(db, project.id, [(text, []) for text in listed])
    assert [prompt.text for prompt in prompts.active(db, project.id)] == list(TEXTS)
    with pytest.raises(NotFound):
        prompts.active(db, "nowhere")
    with pytest.raises(NotFound, match="There is no project nowhere"):
        projects.get(db, "nowhere")
