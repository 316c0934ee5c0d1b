"""Rewards over the API: parameters, scoring under way, and trials of groups and of pictures."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from loop_studio.rewards.catalogue import CATALOGUE
from loop_studio.storage import jobs, projects, references, scoring, trials
from tests.ui.studio import add_group, is_problem

FILE = {"content-type": "application/octet-stream"}


def picture(kind: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    data = BytesIO()
    Image.new("RGB", size, "teal").save(data, kind)
    return data.getvalue()


def judged_group(studio):
    add_group(studio)
    group = studio.next_group().json()
    studio.rate(studio.rating(group))
    return group


class TestParameters:
    def path(self, studio):
        return f"projects/{studio.project}/reward"

    def test_defaults_are_told_for_every_reward_that_takes_parameters(self, studio):
        told = studio.api("GET", self.path(studio)).json()["parameters"]
        assert told == {
            entry.name: {one.name: one.default for one in entry.parameters}
            for entry in CATALOGUE
            if entry.parameters
        }

    def test_they_are_kept_when_only_weights_change(self, studio):
        given = {"judge": {"url": "http://127.0.0.1:9/v1", "model": "eye"}}
        body = {"human": 1.0, "models": {"judge": 0.5}, "parameters": given}
        assert studio.api("PUT", self.path(studio), json=body).status_code == 200
        studio.api("PUT", self.path(studio), json={"human": 1.0})
        told = studio.api("GET", self.path(studio)).json()
        assert told["models"]["judge"] == 0
        assert told["parameters"]["judge"].items() >= given["judge"].items()

    def test_the_projects_list_says_what_its_parameters_make_possible(self, studio):
        path = f"projects/{studio.project}/rewards"
        judge = {one["name"]: one for one in studio.api("GET", path).json()["rewards"]}["judge"]
        assert not judge["available"]
        given = {"judge": {"url": "http://127.0.0.1:9/v1", "model": "eye"}}
        body = {"human": 1.0, "parameters": given}
        studio.api("PUT", self.path(studio), json=body)
        judge = {one["name"]: one for one in studio.api("GET", path).json()["rewards"]}["judge"]
        assert judge["available"]

    def test_a_web_user_names_no_function_where_others_reach_the_studio(self, studio_with):
        studio = studio_with(host="0.0.0.0", password="p", allowed_hosts=("127.0.0.1:7860",))
        head = {"authorization": "Bearer p"}
        given = {"function": {"function": "os:getcwd"}}
        body = {"human": 1, "models": {"function": 1}, "parameters": given}
        answer = studio.api("PUT", self.path(studio), json=body, headers=head)
        assert "LOOP_STUDIO_REWARD_FUNCTIONS" in is_problem(answer, 422, "invalid_value")


def test_how_far_the_groups_are_scored(studio):
    path = f"projects/{studio.project}/reward/scoring"
    nothing = {"status": None, "sources": [], "step": 0, "steps": 0, "error": None}
    assert studio.api("GET", path).json() == nothing
    projects.set_reward(studio.db, studio.project, projects.RewardWeights(1.0, {"brightness": 1.0}))
    queued = studio.api("GET", path).json()
    assert (queued["status"], queued["sources"]) == ("queued", ["brightness"])
    job = jobs.claim(studio.db, "worker", kinds=["score"])
    jobs.progress(studio.db, job, "scoring", 3, 8)
    running = studio.api("GET", path).json()
    assert (running["status"], running["step"], running["steps"]) == ("running", 3, 8)
    jobs.finish(studio.db, job, "failed", "reward_failed", "The reward brightness failed.")
    error = studio.api("GET", path).json()["error"]
    assert (error["code"], error["detail"]) == ("reward_failed", "The reward brightness failed.")
    assert scoring.latest(studio.db, studio.project).id == job.id


class TestTrials:
    def path(self, studio):
        return f"projects/{studio.project}/trials"

    def test_groups_are_offered_once_they_were_judged(self, studio):
        path = f"{self.path(studio)}/groups"
        add_group(studio)
        assert studio.api("GET", path).json() == {"groups": []}
        group = judged_group(studio)
        (offered,) = studio.api("GET", path).json()["groups"]
        assert offered["id"] == group["id"]
        assert {image["id"] for image in offered["images"]} == {
            image["id"] for image in group["images"]
        }

    def test_a_group_is_tried_and_its_results_are_told_as_they_come(self, studio):
        group = judged_group(studio)
        body = {"group_id": group["id"], "models": ["variety", "brightness"]}
        answer = studio.api("POST", self.path(studio), json=body)
        assert answer.status_code == 202
        trial = answer.json()
        assert (trial["status"], trial["step"], trial["steps"]) == ("queued", 0, 2)
        job = jobs.claim(studio.db, "worker", kinds=["score"])
        said = {"scores": [0.1, 0.2, 0.3, 0.4], "version": "1", "error": None}
        trials.record(studio.db, job, "brightness", said)
        trial = studio.api("GET", f"trials/{trial['id']}").json()
        assert (trial["status"], trial["step"]) == ("running", 1)
        assert trial["results"] == [{"name": "brightness", **said}]

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
    def test_a_picture_that_is_sent_is_kept_until_it_is_scored(self, studio, kind):
        path = f"{self.path(studio)}/picture?prompt=a+fish&model=brightness&model=contrast"
        answer = studio.api("POST", path, content=picture(kind), headers=FILE)
        assert answer.status_code == 202, answer.json()
        trial = answer.json()
        assert trial["steps"] == 2
        assert trial["images"] == [{"prompt": "a fish", "id": None, "url": None}]
        (image,) = trials.get(studio.db, trial["id"]).payload["images"]
        assert image["key"] in references.keys(studio.db)
        job = jobs.claim(studio.db, "worker", kinds=["score"])
        jobs.finish(studio.db, job, "succeeded")
        assert image["key"] not in references.keys(studio.db)

    @pytest.mark.parametrize(
        "content",
        [b"", b"not a picture", picture()[:-20], b"GIF89a" + bytes(40), picture(size=(4097, 1))],
        ids=["empty", "text", "cut off", "gif", "too wide"],
    )
    def test_what_is_no_picture_leaves_nothing_behind(self, studio, content):
        path = f"{self.path(studio)}/picture?model=brightness"
        answer = studio.api("POST", path, content=content, headers=FILE)
        assert "picture" in is_problem(answer, 422, "invalid_value")
        assert [*studio.files.keys()] == []

    def test_a_picture_that_is_too_large_is_refused(self, studio, monkeypatch):
        monkeypatch.setattr(trials, "LARGEST", 100)
        path = f"{self.path(studio)}/picture?model=brightness"
        answer = studio.api("POST", path, content=picture(size=(64, 64)) * 3, headers=FILE)
        is_problem(answer, 413, "too_large")

    def test_wrong_rewards_and_unknown_groups_are_refused(self, studio):
        group = judged_group(studio)
        unknown = {"group_id": group["id"], "models": ["beauty"]}
        answer = studio.api("POST", self.path(studio), json=unknown)
        assert "no reward model 'beauty'" in is_problem(answer, 422, "invalid_value")
        none = studio.api("POST", self.path(studio), json={"group_id": group["id"]})
        assert "Name at least one reward" in is_problem(none, 422, "invalid_value")
        missing = {"group_id": "nowhere", "models": ["brightness"]}
        is_problem(studio.api("POST", self.path(studio), json=missing), 404, "not_found")
        is_problem(studio.api("GET", "trials/nowhere"), 404, "not_found")

    def test_a_group_of_another_project_is_not_found(self, studio):
        group = judged_group(studio)
        other = projects.create(studio.db, "Other", "starter", [("a fish", [])], {})
        body = {"group_id": group["id"], "models": ["brightness"]}
        is_problem(studio.api("POST", f"projects/{other.id}/trials", json=body), 404, "not_found")
