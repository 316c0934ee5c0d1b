"""Fine-tune now through HTTP: asked for once, followed, stopped, taken away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from loop_studio.storage import jobs, updates
from tests.ui.studio import add_group, is_problem, stored


def project_status(studio):
    return studio.api("GET", f"projects/{studio.project}/status").json()


@pytest.fixture
def rated(studio):
    """Four usable groups, as many as Fine-tune now needs."""
    for shade in range(4):
        add_group(studio, shade=10 * shade)
    for _ in range(4):
        studio.rate(studio.rating(studio.next_group().json()))
    return studio


def fine_tune(studio):
    return studio.api("POST", f"projects/{studio.project}/updates")


def test_too_few_groups_is_a_conflict_that_says_how_many(studio):
    sentence = is_problem(fine_tune(studio), 409, "too_few_groups")
    assert "4" in sentence
    counts = project_status(studio)
    assert counts["can_update"] is False
    assert counts["can_update_reason"]


def test_an_update_is_queued_and_can_be_followed(rated):
    answer = fine_tune(rated)
    assert answer.status_code == 202
    update = answer.json()
    assert (update["number"], update["status"]) == (1, "queued")
    assert update["version_id"] is update["version"] is update["error"] is None
    assert update["made_live"] is False
    assert update["created_at"].endswith("Z")
    assert rated.api("GET", f"updates/{update['id']}").json() == update
    listed = rated.api("GET", f"projects/{rated.project}/updates").json()
    assert listed == {"updates": [update]}
    assert project_status(rated)["active_update_id"] == update["id"]


def test_a_second_update_is_a_conflict_that_names_the_first(rated):
    first = fine_tune(rated).json()
    second = fine_tune(rated)
    is_problem(second, 409, "update_active")
    assert second.json()["update_id"] == first["id"]


def test_clicks_at_once_make_one_update(rated):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: fine_tune(rated), range(8)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7


def test_cancel_can_be_repeated_until_it_is_over(rated):
    update = fine_tune(rated).json()
    for _ in range(2):
        cancelled = rated.api("POST", f"updates/{update['id']}/cancel")
        assert cancelled.status_code == 202
        assert cancelled.json()["status"] == "cancelled"
        assert cancelled.json()["cancel_requested"] is True


def test_a_running_update_is_asked_to_stop(rated):
    update = fine_tune(rated).json()
    job = jobs.claim(rated.db, "worker", kinds=["update"])
    updates.start(rated.db, update["id"], job)
    updates.progress(rated.db, job, "learning", 3, 16, 12.5)
    running = rated.api("GET", f"updates/{update['id']}").json()
    assert (running["status"], running["phase"]) == ("running", "learning")
    assert (running["step"], running["steps"], running["eta_s"]) == (3, 16, 12.5)
    assert running["started_at"].endswith("Z")
    asked = rated.api("POST", f"updates/{update['id']}/cancel").json()
    assert (asked["status"], asked["cancel_requested"]) == ("running", True)


def test_a_failed_update_says_why_and_can_no_longer_be_cancelled(rated):
    update = fine_tune(rated).json()
    job = jobs.claim(rated.db, "worker", kinds=["update"])
    updates.start(rated.db, update["id"], job)
    jobs.finish(rated.db, job, "failed", "out_of_memory", "Too big.", "traceback")
    failed = rated.api("GET", f"updates/{update['id']}").json()
    assert failed["status"] == "failed"
    error = failed["error"]
    assert (error["code"], error["detail"]) == ("out_of_memory", "Too big.")
    assert error["next_step"].endswith("start it again.")
    again = rated.api("POST", f"updates/{update['id']}/cancel")
    is_problem(again, 409, "already_finished")
    assert project_status(rated)["usable_groups"] == 4


def test_a_published_update_is_live_and_can_be_taken_away(rated):
    update = fine_tune(rated).json()
    job = jobs.claim(rated.db, "worker", kinds=["update"])
    updates.start(rated.db, update["id"], job)
    files = {
        kind: stored(rated, kind.encode(), ".safetensors")
        for kind in ("resume", "diffusers", "kohya")
    }
    updates.publish(rated.db, job, update["id"], files, {"clip_fraction": 0.1})
    done = rated.api("GET", f"updates/{update['id']}").json()
    assert (done["status"], done["version"], done["made_live"]) == ("succeeded", 1, True)
    listed = rated.api("GET", f"projects/{rated.project}/versions").json()["versions"]
    assert [(version["number"], version["live"]) for version in listed] == [
        (0, False),
        (1, True),
    ]
    assert listed[1]["id"] == done["version_id"]
    assert listed[1]["parent_id"] == listed[0]["id"]
    assert rated.api("GET", f"projects/{rated.project}/updates").json() == {"updates": [done]}
    names = {
        "": (b"diffusers", "pytorch_lora_weights.safetensors"),
        "?format=diffusers": (b"diffusers", "pytorch_lora_weights.safetensors"),
        "?format=kohya": (b"kohya", "starter-v1.safetensors"),
    }
    for query, (data, name) in names.items():
        answer = rated.api("GET", f"versions/{done['version_id']}/lora{query}")
        assert answer.status_code == 200
        assert answer.content == data
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    wanted = f"versions/{done['version_id']}/lora?format=resume"
    is_problem(rated.api("GET", wanted), 422, "invalid_value")
    rated.files.delete(files["kohya"].key)
    gone = rated.api("GET", f"versions/{done['version_id']}/lora?format=kohya")
    is_problem(gone, 404, "file_gone")
    back = rated.api("POST", f"versions/{listed[0]['id']}/activate").json()
    assert (back["number"], back["live"]) == (0, True)
    assert project_status(rated)["live_version"] == 0


def test_the_list_pages_backwards(rated):
    for _ in range(3):
        updates.cancel(rated.db, fine_tune(rated).json()["id"])
    path = f"projects/{rated.project}/updates"

    def numbers(query):
        return [u["number"] for u in rated.api("GET", path + query).json()["updates"]]

    assert numbers("") == [1, 2, 3]
    assert numbers("?limit=2") == [2, 3]
    assert numbers("?limit=2&before=3") == [1, 2]
    assert numbers("?before=1") == []
    for query in ("?limit=0", "?limit=x", "?before=-1", "?limit=1e9", "?before=99999999999999"):
        is_problem(rated.api("GET", path + query), 422, "invalid_value")


def test_five_clicks_at_once_make_one_update_and_four_plain_sentences(rated):
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: fine_tune(rated), range(5)))
    refused = [answer for answer in answers if answer.status_code == 409]
    assert len(refused) == 4
    assert {answer.json()["detail"] for answer in refused} == {
        "Update 1 is queued; wait for it, or cancel it."
    }
    assert len(rated.api("GET", f"projects/{rated.project}/updates").json()["updates"]) == 1


def test_what_the_next_update_would_use_is_told_before_it_starts(rated):
    told = rated.api("GET", f"projects/{rated.project}/updates/next").json()
    assert (told["from_version"], told["groups"], told["ratings"]) == (0, 4, 4)
    assert told["seconds"] is None
    assert project_status(rated)["active_update_id"] is None
    is_problem(rated.api("GET", "projects/nowhere/updates/next"), 404, "not_found")


def test_pause_resume_and_stop_answer_with_the_update_and_refuse_in_plain_words(rated):
    update = fine_tune(rated).json()

    def press(verb):
        return rated.api("POST", f"updates/{update['id']}/{verb}")

    assert press("pause").json()["status"] == "paused"
    is_problem(press("stop"), 409, "nothing_learned")
    assert press("resume").json()["status"] == "queued"
    job = jobs.claim(rated.db, "worker", kinds=["update"])
    updates.start(rated.db, update["id"], job)
    updates.progress(rated.db, job, "training", 3, 16, 12.5, updates.Figures(1, 2.5, 10**9))
    paused = press("pause")
    assert (paused.status_code, paused.json()["requested"]) == (202, "pause")
    stopped = press("stop").json()
    assert (stopped["requested"], stopped["optimizer_steps"]) == ("stop", 1)
    assert (stopped["samples_per_s"], stopped["memory_bytes"]) == (2.5, 10**9)
    is_problem(press("pause"), 409, "stopping")
    assert press("cancel").json()["cancel_requested"] is True
    is_problem(press("stop"), 409, "cancelling")
    jobs.finish(rated.db, job, "cancelled", "cancelled", "Cancelled on request.")
    for verb in ("pause", "resume", "stop"):
        is_problem(press(verb), 409, "already_finished")
        is_problem(rated.api("POST", f"updates/nothing/{verb}"), 404, "not_found")
    assert rated.api("GET", f"updates/{update['id']}/log").json() == {"lines": []}
