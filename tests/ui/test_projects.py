"""Projects, prompts, rewards, versions, samples and health through HTTP."""

from __future__ import annotations

import re

import pytest

from loop_studio import __version__
from loop_studio.config import ProjectConfig
from loop_studio.rewards.catalogue import CATALOGUE
from loop_studio.storage import groups, jobs, projects, samples, versions, workers
from loop_studio.storage.schema import now
from loop_studio.ui.routes.versions import file_name
from tests.ui.studio import PROMPTS, add_group, is_problem, png, stored

REWARD = CATALOGUE[0].name
NOTHING = {entry.name: 0.0 for entry in CATALOGUE}


def weights_of(answer):
    """The pinned part of an answer."""
    return {name: answer.json()[name] for name in ("human", "models")}


def create(studio, **fields):
    return studio.api("POST", "projects", json={"name": "Mine", **fields})


class TestProjects:
    def test_the_starter_comes_first(self, studio):
        assert create(studio, name="Aardvark").status_code == 201
        listed = studio.api("GET", "projects").json()["projects"]
        assert [project["name"] for project in listed] == ["Starter", "Aardvark"]
        assert listed[0]["model"] == "starter"
        assert listed[0]["settings"] == ProjectConfig().values()
        assert listed[0]["created_at"].endswith("Z")

    def test_a_project_starts_with_its_prompts_and_settings(self, studio):
        made = create(studio, prompts=["a cat", " a dog "], settings={"group_size": 3})
        assert made.status_code == 201
        project = made.json()
        pinned = {"id", "name", "model", "archived", "settings", "created_at"}
        told = {"guidelines", "consent", "content_note", "model_revision"}
        assert set(project) == pinned | told
        assert project["settings"]["group_size"] == 3
        path = f"projects/{project['id']}"
        assert studio.api("GET", path).json() == project
        prompts = studio.api("GET", f"{path}/prompts").json()["prompts"]
        assert [prompt["text"] for prompt in prompts] == ["a cat", "a dog"]

    def test_a_starter_project_without_prompts_gets_the_starters(self, studio):
        project = create(studio).json()["id"]
        prompts = studio.api("GET", f"projects/{project}/prompts").json()["prompts"]
        assert len(prompts) == 60

    @pytest.mark.parametrize(
        ("fields", "names"),
        [
            ({"name": ""}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"name": 3}, "name"),
            ({"model": "/nowhere/at/all"}, "/nowhere/at/all"),
            ({"model": "nothing"}, "nothing"),
            ({"model": ""}, "model"),
            ({"prompts": [""]}, "Prompt 1"),
            ({"prompts": ["a cat", "   "]}, "Prompt 2"),
            ({"prompts": ["x" * 1001]}, "1000"),
            ({"prompts": "a cat"}, "prompts"),
            ({"settings": {"group_size": 1}}, "group_size"),
            ({"settings": {"eta": 0}}, "eta"),
            ({"settings": {"eta": float(2)}}, "eta"),
            ({"settings": {"num_inference_steps": "many"}}, "num_inference_steps"),
            ({"settings": {"colour": "red"}}, "colour"),
            ({"settings": [1]}, "settings"),
        ],
    )
    def test_a_wrong_value_is_named_and_nothing_is_made(self, studio, fields, names):
        assert names in is_problem(create(studio, **fields), 422, "invalid_value")
        assert len(studio.api("GET", "projects").json()["projects"]) == 1

    def test_a_prompt_beyond_the_tokenizer_is_refused(self, studio):
        sentence = is_problem(create(studio, prompts=["red " * 200]), 422, "invalid_value")
        assert "Prompt 1" in sentence
        assert "at most" in sentence

    def test_a_hub_model_is_left_to_the_worker(self, studio):
        made = create(studio, model="owner/name", prompts=["a cat"]).json()
        assert made["model"] == "owner/name"
        job = jobs.claim(studio.db, "worker", kinds=["check_model"])
        assert job is not None
        assert job.project_id == made["id"]
        assert made["model_revision"] is None
        projects.pin_model(studio.db, made["id"], "0" * 40)
        assert studio.api("GET", f"projects/{made['id']}").json()["model_revision"] == "0" * 40

    def test_settings_are_merged(self, studio):
        path = f"projects/{studio.project}"
        studio.api("PATCH", path, json={"settings": {"group_size": 2}})
        changed = studio.api("PATCH", path, json={"settings": {"eta": 0.5}, "name": "New"}).json()
        assert changed["name"] == "New"
        assert changed["settings"] == {**ProjectConfig().values(), "group_size": 2, "eta": 0.5}
        assert studio.api("GET", path).json() == changed

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            ({"group_size": 1}, "group_size must be a whole number from 2 to 16; it was 1."),
            (
                {"gradient_checkpointing": "yes"},
                "gradient_checkpointing must be true or false; it was 'yes'.",
            ),
            ({"eta": 0}, "eta must be a number from above 0 to 1; it was 0."),
            ({"passes": 1, "minibatches": 1}, "passes x minibatches must be at least 2"),
            ({"colour": 1}, "There is no setting called 'colour'"),
        ],
    )
    def test_a_setting_out_of_range_is_named_with_its_range(self, studio, settings, sentence):
        path = f"projects/{studio.project}"
        answer = studio.api("PATCH", path, json={"settings": settings, "name": "Other"})
        assert sentence in is_problem(answer, 422, "invalid_value")
        project = studio.api("GET", path).json()
        assert (project["name"], project["settings"]) == ("Starter", ProjectConfig().values())

    def test_archiving_is_remembered(self, studio):
        path = f"projects/{studio.project}"
        assert studio.api("PATCH", path, json={"archived": True}).json()["archived"] is True
        assert studio.api("PATCH", path, json={"archived": False}).json()["archived"] is False

    def test_the_status_has_every_field(self, studio):
        add_group(studio)
        counts = studio.api("GET", f"projects/{studio.project}/status").json()
        assert counts["project_id"] == studio.project
        assert counts["live_version"] == 0
        assert counts["ready_groups"] == 1
        assert (counts["min_groups"], counts["auto_update_groups"]) == (4, 16)
        assert counts["generation"] in {"running", "idle", "paused"}
        assert counts["worker"]["state"] == "none"


class TestPrompts:
    def path(self, studio):
        return f"projects/{studio.project}/prompts"

    def test_prompts_tell_their_unknown_words(self, studio):
        prompts = studio.api("GET", self.path(studio)).json()["prompts"]
        assert [(prompt["text"], prompt["unknown_words"]) for prompt in prompts] == PROMPTS
        assert all(set(prompt) == {"id", "text", "unknown_words"} for prompt in prompts)

    def test_the_list_is_replaced(self, studio):
        texts = ["a house", "a fish"]
        answer = studio.api("PUT", self.path(studio), json={"prompts": texts})
        assert [prompt["text"] for prompt in answer.json()["prompts"]] == texts
        assert studio.api("GET", self.path(studio)).json() == answer.json()

    @pytest.mark.parametrize("prompts", [[], [""], ["a", "\t"], ["x" * 1001], [1], [None], "a", {}])
    def test_a_list_with_a_wrong_prompt_changes_nothing(self, studio, prompts):
        before = studio.api("GET", self.path(studio)).json()
        answer = studio.api("PUT", self.path(studio), json={"prompts": prompts})
        is_problem(answer, 422, "invalid_value")
        assert studio.api("GET", self.path(studio)).json() == before


class TestRewards:
    def test_every_reward_model_says_whether_it_can_be_used(self, studio):
        listed = studio.api("GET", "rewards").json()["rewards"]
        assert [reward["name"] for reward in listed] == [entry.name for entry in CATALOGUE]
        for reward in listed:
            assert reward.keys() >= {"name", "description", "available", "reason"}
            assert bool(reward["reason"]) is not reward["available"]

    def test_people_count_alone_at_first(self, studio):
        answer = studio.api("GET", f"projects/{studio.project}/reward")
        assert weights_of(answer) == {"human": 1.0, "models": NOTHING}

    def test_the_source_is_swapped_in_one_request(self, studio):
        path = f"projects/{studio.project}/reward"
        wanted = {"human": 0.0, "models": {REWARD: 2.0}}
        answer = studio.api("PUT", path, json=wanted)
        stored = {"human": 0.0, "models": NOTHING | {REWARD: 2.0}}
        assert weights_of(answer) == weights_of(studio.api("GET", path)) == stored

    @pytest.mark.parametrize(
        "weights",
        [
            {},
            {"human": 0},
            {"human": -1},
            {"human": None},
            {"human": 1, "models": {"unheard_of": 1}},
            {"human": 1, "models": {REWARD: -1}},
            {"human": 0, "models": {REWARD: 0}},
            {"human": 1, "models": [REWARD]},
            {"human": 1, "weights": {}},
            {"human": 1, "parameters": {"unheard_of": {}}},
            {"human": 1, "parameters": {REWARD: {"size": "1"}}},
            {"human": 1, "parameters": {REWARD: {"model": 1}}},
            {"human": 1, "parameters": {REWARD: {"model": "x" * 4001}}},
            {"human": 1, "models": {REWARD: 1}, "parameters": {REWARD: {"model": "no such"}}},
            {"human": 1, "models": {"judge": 1}},
            {"human": 1, "models": {"function": 1}},
            {"human": 1, "models": {"hps_v2": 1}},
        ],
    )
    def test_weights_that_cannot_be_meant_change_nothing(self, studio, weights):
        path = f"projects/{studio.project}/reward"
        is_problem(studio.api("PUT", path, json=weights), 422, "invalid_value")
        assert weights_of(studio.api("GET", path)) == {"human": 1.0, "models": NOTHING}


class TestVersions:
    def test_the_base_is_always_listed_and_live(self, studio):
        listed = studio.api("GET", f"projects/{studio.project}/versions").json()["versions"]
        assert [(version["number"], version["live"]) for version in listed] == [(0, True)]
        assert listed[0]["parent_id"] is listed[0]["update_id"] is None
        assert listed[0]["metrics"] == {}

    def test_activating_can_be_repeated(self, studio):
        base = versions.live(studio.db, studio.project)
        for _ in range(2):
            answer = studio.api("POST", f"versions/{base.id}/activate")
            assert answer.status_code == 200
            assert answer.json()["live"] is True

    def test_the_base_has_no_lora(self, studio):
        base = versions.live(studio.db, studio.project)
        for form in ("", "?format=diffusers", "?format=kohya"):
            answer = studio.api("GET", f"versions/{base.id}/lora{form}")
            is_problem(answer, 404, "base_has_no_lora")
        is_problem(studio.api("GET", f"versions/{base.id}/lora?format=x"), 422, "invalid_value")


class TestSamples:
    def ask(self, studio, **fields):
        body = {"prompts": ["a red circle", "a blue star"], "seeds": [1, 2], **fields}
        return studio.api("POST", f"projects/{studio.project}/samples", json=body)

    def test_samples_are_queued_and_their_pictures_listed(self, studio):
        made = self.ask(studio)
        assert made.status_code == 202
        assert made.json()["status"] == "queued"
        path = f"samples/{made.json()['id']}"
        waiting = studio.api("GET", path).json()
        assert (waiting["id"], waiting["status"]) == (made.json()["id"], made.json()["status"])
        assert (waiting["images"], waiting["total"]) == ([], 4)
        picture = groups.NewImage(1, 2, 1, 1, stored(studio, png(9), ".png"))
        samples.add_images(studio.db, made.json()["id"], [picture])
        image = studio.api("GET", path).json()["images"][0]
        assert (image["prompt"], image["seed"], image["version"]) == ("a red circle", 2, 0)
        assert studio.client.get(image["url"]).content == png(9)

    @pytest.mark.parametrize(
        "fields",
        [
            {"prompts": []},
            {"seeds": []},
            {"prompts": [""]},
            {"seeds": [-1]},
            {"seeds": [2**53]},
            {"seeds": [1.5]},
            {"seeds": ["1"]},
            {"prompts": ["a"] * 17, "seeds": list(range(16))},
            {"version": -1},
            {"version": "0"},
            {"settings": {"eta": 0}},
            {"settings": {"colour": 1}},
            {"rater": "ada"},
        ],
    )
    def test_wrong_samples_are_refused(self, studio, fields):
        is_problem(self.ask(studio, **fields), 422, "invalid_value")

    def test_a_version_shows_its_probe_wall_once_there_is_one(self, studio):
        base = versions.live(studio.db, studio.project)
        path = f"versions/{base.id}/probe"
        is_problem(studio.api("GET", path), 404, "no_probe")
        with studio.db.write() as session:
            wall = samples.create_probe(session, base)
        samples.add_images(
            studio.db, wall.id, [groups.NewImage(0, 1, 1, 1, stored(studio, png(3), ".png"))]
        )
        shown = studio.api("GET", path).json()
        assert (shown["id"], shown["status"]) == (wall.id, "queued")
        assert [image["prompt"] for image in shown["images"]] == ["a red circle"]
        is_problem(studio.api("GET", "versions/unknown/probe"), 404, "not_found")

    def test_256_pictures_are_the_most(self, studio):
        fields = {"prompts": ["a red circle"] * 16, "seeds": list(range(16))}
        assert self.ask(studio, **fields).status_code == 202

    def test_an_unknown_version_is_404(self, studio):
        is_problem(self.ask(studio, version=7), 404, "not_found")


class TestHealth:
    def test_it_is_well_as_soon_as_the_web_process_answers(self, studio):
        answer = studio.client.get("/healthz")
        assert answer.status_code == 200
        health = answer.json()
        assert (health["status"], health["release"]) == ("ok", __version__)
        assert health["database"] == "head"
        assert health["worker"]["state"] == "none"
        assert answer.headers["cache-control"] == "no-store"

    def test_a_worker_can_be_required(self, studio):
        missing = studio.client.get("/healthz?require=worker")
        assert missing.status_code == 503
        assert int(missing.headers["retry-after"]) >= 1
        worker = workers.register(studio.db, "cpu", 1)
        for state, status in (("starting", 503), ("ready", 200), ("busy", 200)):
            workers.beat(studio.db, worker.id, state, now())
            answer = studio.client.get("/healthz?require=worker")
            assert answer.status_code == status
            assert answer.json()["worker"]["device"] == "cpu"
            assert answer.json()["worker"]["heartbeat_age_s"] < 5

    def test_a_database_that_is_not_at_head_is_unready(self, studio):
        with studio.db.write() as session:
            session.connection().exec_driver_sql("DELETE FROM alembic_version")
        answer = studio.client.get("/healthz")
        assert answer.status_code == 503
        assert answer.json()["database"] != "head"


def test_a_project_name_never_decides_a_file_name(studio):
    for name, wanted in {
        "Dark & moody": "dark-moody-v3.safetensors",
        "../../etc/passwd": "etc-passwd-v3.safetensors",
        "日本": "project-v3.safetensors",
        "a\r\nSet-Cookie: x": "a-set-cookie-x-v3.safetensors",
        "x" * 200: f"{'x' * 60}-v3.safetensors",
    }.items():
        assert file_name(name, 3) == wanted
        assert re.fullmatch(r"[a-z0-9-]+\.safetensors", wanted)
