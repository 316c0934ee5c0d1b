"""The routes for the care of data: room, backups, changes, a person's data removed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loop_studio.storage import audit, backups, jobs, workers
from loop_studio.storage.schema import Worker, now
from tests.ui.studio import add_group, is_problem


def rated(studio, rater="Ada"):
    add_group(studio)
    return studio.rate(studio.rating(studio.next_group(rater).json(), rater=rater)).json()


def test_the_gauge_tells_use_by_kind_and_why_nothing_is_made(studio):
    rated(studio)
    told = studio.api("GET", "data").json()
    assert told["total"] == sum(told["use"].values())
    assert told["use"]["trajectories"] == len(b"trajectory")
    assert (told["quota"], told["floor"], told["sentence"]) == (None, 2**30, "")
    assert told["free"] > 0


@pytest.mark.sqlite
def test_a_backup_is_asked_for_once_and_listed_when_it_is_made(studio):
    rated(studio)
    asked = studio.api("POST", "backups")
    assert asked.status_code == 202
    assert studio.api("POST", "backups").json()["id"] == asked.json()["id"]
    assert studio.api("GET", "backups").json()["last"]["status"] == "queued"
    job = jobs.claim(studio.db, "w", kinds=["housekeeping"])
    backups.make(studio.db, studio.files, studio.settings.backup_folder)
    jobs.finish(studio.db, job, "failed", "no_room", "There is no room.")
    told = studio.api("GET", "backups").json()
    assert (told["last"]["status"], told["last"]["error"]["code"]) == ("failed", "no_room")
    assert [(one["files"], one["missing"]) for one in told["backups"]] == [(5, 0)]
    assert told["folder"] == str(studio.settings.data / "backups")


def test_changes_are_listed_newest_first_and_filtered(studio):
    path = f"projects/{studio.project}"
    studio.api("PATCH", path, {"settings": {"group_size": 6}})
    studio.api("PATCH", path, {"name": "Fish"})
    told = studio.api("GET", "audit").json()
    assert [one["sentence"] for one in told["changes"]] == [
        "Renamed Starter to Fish.",
        "Changed group_size from 4 to 6.",
    ]
    assert {one["actor"] for one in told["changes"]} == {audit.LOCAL}
    [only] = studio.api("GET", "audit?action=settings").json()["changes"]
    assert only["project"] == "Fish"
    assert studio.api("GET", "audit?project=nobody").json() == {"changes": [], "more": False}
    is_problem(studio.api("GET", "audit?action=magic"), 422, "invalid_value")
    is_problem(studio.api("GET", "audit?limit=0"), 422, "invalid_value")


def test_a_rater_is_looked_up_and_removed_by_name(studio):
    rated(studio)
    rated(studio, rater="bob")
    [trace] = studio.api("GET", "raters", params={"name": "Ada"}).json()["traces"]
    assert (trace["ratings"], trace["used"], trace["versions"]) == (1, 0, [])
    assert studio.api("DELETE", "raters", {"name": "Ada"}).json()["traces"] == [trace]
    lines = studio.api("GET", f"projects/{studio.project}/ratings.jsonl").text
    assert '"bob"' in lines
    assert "Ada" not in lines
    is_problem(studio.api("GET", "raters", params={"name": "Ada"}), 404, "not_found")
    is_problem(studio.api("DELETE", "raters", {"name": "Ada"}), 404, "not_found")
    is_problem(studio.api("DELETE", "raters", {}), 422, "invalid_value")
    is_problem(studio.api("GET", "raters"), 422, "invalid_value")
    [change, *_] = studio.api("GET", "audit?action=rater").json()["changes"]
    assert (change["sentence"], change["rater"]) == ("Removed a rater's data.", None)


def test_healthy_means_that_the_accelerator_computes(studio):
    worker = workers.register(studio.db, "cuda:0", 1)
    answer = studio.client.get("/healthz?require=worker")
    assert (answer.status_code, answer.json()["worker"]["accelerator_age_s"]) == (503, None)
    workers.beat(studio.db, worker.id, "busy", now())
    assert studio.client.get("/healthz?require=worker").status_code == 200
    with studio.db.write() as session:  # the process lives and beats, the device hangs
        session.get_one(Worker, worker.id).computed_at = now() - timedelta(minutes=5)
    workers.beat(studio.db, worker.id, "busy")
    answer = studio.client.get("/healthz?require=worker")
    assert (answer.status_code, answer.json()["status"]) == (503, "unready")
    assert studio.client.get("/healthz").status_code == 200
