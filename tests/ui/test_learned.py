"""The learned reward and autopilot through HTTP."""

from __future__ import annotations

import pytest

from loop_studio.storage import jobs, learned, updates
from loop_studio.storage.files import StoredFile
from loop_studio.storage.learned import NewFit
from tests.ui.studio import add_group, is_problem

BINS = [{"sure": 0.7, "right": 0.75, "pairs": 16}]
MEASURED = {
    "held_out": 7,
    "accuracy": 0.81,
    "low": 0.49,
    "high": 0.95,
    "bound": 0.67,
    "bins": BINS,
}


def fit(studio, sentence=""):
    file = StoredFile("fits/one", "0" * 64, 3)
    new = NewFit(file, None, 31, 27, MEASURED, not sentence, sentence)
    return learned.record(studio.db, studio.project, new)


def state(studio):
    return studio.api("GET", f"projects/{studio.project}/learned").json()


def weigh(studio, human, **models):
    path = f"projects/{studio.project}/reward"
    return studio.api("PUT", path, json={"human": human, "models": models})


def test_before_any_fit_it_says_how_many_groups_are_missing(studio):
    for shade in range(3):
        group = add_group(studio, shade=10 * shade)
        shown = studio.next_group().json()
        assert shown["id"] == group.id
        studio.rate(studio.rating(shown))
    found = state(studio)
    assert (found["version"], found["groups"], found["new_ratings"]) == (None, 3, 3)
    assert found["accuracy"] is found["learned_at"] is None
    assert found["sentence"] == (
        "A reward is learned from 8 judged groups or more: judge 5 more groups."
    )
    assert (found["bar"], found["contributes"], found["weight"]) == (0.55, False, 0.0)


def test_a_fit_is_answered_with_what_it_was_measured_on(studio):
    fit(studio)
    found = state(studio)
    assert (found["version"], found["ratings"], found["groups"]) == ("fit-1", 31, 27)
    assert {name: found[name] for name in MEASURED} == MEASURED
    assert (found["contributes"], found["sentence"], found["setback"]) == (True, "", "")
    assert found["learned_at"].endswith("Z")


def test_an_attempt_that_came_to_nothing_is_told_beside_the_one_in_force(studio):
    fit(studio)
    nothing = NewFit(None, None, 2, 2, {}, False, "Judge more groups.")
    learned.record(studio.db, studio.project, nothing)
    found = state(studio)
    assert (found["version"], found["contributes"]) == ("fit-1", True)
    assert found["setback"] == "Judge more groups."


def test_learn_now_queues_one_job_however_often_it_is_asked(studio):
    path = f"projects/{studio.project}/learned/fit"
    assert studio.api("POST", path, json={}).status_code == 202
    assert studio.api("POST", path).json()["learning"] is True
    job = jobs.claim(studio.db, "w", kinds=["fit_reward"])
    assert job is not None
    assert jobs.claim(studio.db, "w", kinds=["fit_reward"]) is None


def test_it_is_weighted_like_any_other_reward(studio):
    names = [one["name"] for one in studio.api("GET", "rewards").json()["rewards"]]
    assert names[-1] == "learned"
    answer = weigh(studio, 1.0, learned=0.5)
    assert answer.status_code == 200
    assert answer.json()["models"]["learned"] == 0.5
    assert state(studio)["weight"] == 0.5


def test_alone_it_starts_an_update_once_it_counts(studio):
    weigh(studio, 0.0, learned=1.0)
    path = f"projects/{studio.project}/updates"
    assert "does not count yet" in is_problem(studio.api("POST", path), 409, "too_few_groups")
    fit(studio)
    assert studio.api("POST", path).status_code == 202


def fly(studio, **budget):
    return studio.api("POST", f"projects/{studio.project}/autopilot", json=budget)


def pilot(studio):
    return studio.api("GET", f"projects/{studio.project}/autopilot").json()["autopilot"]


def test_autopilot_is_started_paused_resumed_and_stopped(studio):
    assert pilot(studio) is None
    weigh(studio, 0.0, clip_score=1.0)
    started = fly(studio, updates=5, minutes=30)
    assert started.status_code == 201
    one = started.json()
    assert (one["state"], one["most_updates"], one["most_minutes"]) == ("running", 5, 30.0)
    assert (one["reward_goal"], one["updates"], one["reward"]) == (None, 0, None)
    for act, expected in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        for _ in range(2):
            answer = studio.api("POST", f"autopilots/{one['id']}/{act}")
            assert (answer.status_code, answer.json()["state"]) == (200, expected)
    assert pilot(studio)["id"] == one["id"]
    is_problem(studio.api("POST", f"autopilots/{one['id']}/pause"), 409, "already_finished")
    assert updates.active(studio.db, studio.project) is None


def test_autopilot_needs_a_reward_that_needs_nobody(studio):
    sentence = is_problem(fly(studio, updates=5), 409, "reward_needs_people")
    assert "choose an automatic or the learned reward" in sentence


def test_a_second_autopilot_is_a_conflict_that_names_the_first(studio):
    weigh(studio, 0.0, clip_score=1.0)
    first = fly(studio, updates=5).json()
    second = fly(studio, updates=5)
    is_problem(second, 409, "autopilot_active")
    assert second.json()["autopilot_id"] == first["id"]


@pytest.mark.parametrize(
    "budget",
    [{}, {"updates": 0}, {"updates": 1.5}, {"minutes": -1}, {"minutes": "9"}, {"hours": 1}],
)
def test_a_budget_that_makes_no_sense_is_refused(studio, budget):
    weigh(studio, 0.0, clip_score=1.0)
    is_problem(fly(studio, **budget), 422, "invalid_value")
    assert pilot(studio) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "projects/nothing/learned"),
        ("POST", "projects/nothing/learned/fit"),
        ("GET", "projects/nothing/autopilot"),
        ("POST", "autopilots/nothing/pause"),
    ],
)
def test_what_does_not_exist_is_not_found(studio, method, path):
    is_problem(studio.api(method, path), 404, "not_found")
