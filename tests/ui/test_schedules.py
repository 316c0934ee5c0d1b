"""Schedules and the queue through HTTP."""

from __future__ import annotations

import pytest

from loop_studio.storage import jobs
from tests.ui.studio import is_problem


def test_a_schedule_is_made_changed_and_removed(studio):
    studio.api(
        "PATCH", f"projects/{studio.project}", json={"settings": {"time_zone": "Asia/Tokyo"}}
    )
    path = f"projects/{studio.project}/schedules"
    made = studio.api("POST", path, json={"cron": "0 9 * * 0"})
    assert made.status_code == 201
    schedule = made.json()
    assert schedule["time_zone"] == "Asia/Tokyo"
    assert [run[10:] for run in schedule["next_runs"]] == ["T00:00:00Z"] * 3
    assert studio.api("GET", path).json() == {"schedules": [schedule]}
    own = f"schedules/{schedule['id']}"
    assert studio.api("PATCH", own, json={"enabled": False}).json()["next_runs"] == []
    changed = studio.api("PATCH", own, json={"cron": "30 9 * * 0", "enabled": True}).json()
    assert changed["next_runs"][0].endswith("T00:30:00Z")
    for _ in range(2):
        assert studio.api("DELETE", own).status_code == 204
    is_problem(studio.api("PATCH", own, json={}), 404, "not_found")
    is_problem(studio.api("GET", "projects/nowhere/schedules"), 404, "not_found")


@pytest.mark.parametrize(
    ("cron", "code"),
    [("0 0 31 2 *", "never_runs"), ("every day", "invalid_value"), ("x" * 201, "invalid_value")],
)
def test_a_line_that_cannot_be_meant_is_refused_and_changes_nothing(studio, cron, code):
    path = f"projects/{studio.project}/schedules"
    is_problem(studio.api("POST", path, json={"cron": cron}), 422, code)
    is_problem(studio.api("GET", f"{path}/preview", params={"cron": cron}), 422, code)
    assert studio.api("GET", path).json() == {"schedules": []}


def test_a_preview_tells_three_dates(studio):
    path = f"projects/{studio.project}/schedules/preview"
    told = studio.api("GET", path, params={"cron": "*/5 * * * *"}).json()
    assert (told["time_zone"], len(told["next_runs"])) == ("UTC", 3)


@pytest.mark.parametrize(
    "settings", [{"time_zone": "Mars"}, {"quiet_from": "26:00"}, {"quiet_until": "07:00"}]
)
def test_wrong_times_are_refused_in_the_settings(studio, settings):
    body = {"settings": settings}
    answer = studio.api("PATCH", f"projects/{studio.project}", json=body)
    is_problem(answer, 422, "invalid_value")


def test_the_queue_lists_jobs_and_tries_failed_ones_again(studio):
    failed = jobs.enqueue(studio.db, "check_model", studio.project, priority=30)
    job = jobs.claim(studio.db, "w", kinds=["check_model"])
    jobs.finish(studio.db, job, "failed", "model_unusable", "It is gone.", "Traceback")
    queue = studio.api("GET", "jobs").json()
    [told] = queue["failed"]
    assert (told["id"], told["project"], told["error"]["code"]) == (
        failed.id,
        "Starter",
        "model_unusable",
    )
    assert "Traceback" not in str(queue)
    again = studio.api("POST", f"jobs/{failed.id}/retry")
    assert (again.status_code, again.json()["state"]) == (202, "queued")
    is_problem(studio.api("POST", f"jobs/{failed.id}/retry"), 409, "not_failed")
    is_problem(studio.api("POST", "jobs/nothing/retry"), 404, "not_found")
    assert studio.api("GET", "jobs").json()["failed"] == []
