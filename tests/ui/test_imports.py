"""A LoRA file through HTTP: streamed to the store up to a limit, then a job for the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from loop_studio.storage import imports, jobs
from tests.ui.studio import is_problem

FILE = {"content-type": "application/octet-stream"}


def send(studio, data=b"some bytes", project=None, headers=FILE, **query):
    path = f"projects/{project or studio.project}/imports"
    return studio.api("POST", path, content=data, headers=headers, params=query)


def on_disk(studio) -> list:
    return [path for path in studio.files.root.rglob("*") if path.is_file()]


def test_a_file_is_stored_as_it_was_sent_and_can_be_followed(studio):
    data = bytes(range(256)) * 20_000  # more than other bodies may be
    answer = send(studio, data, name="My LoRA")
    assert answer.status_code == 202
    told = answer.json()
    assert (told["name"], told["status"]) == ("My LoRA", "queued")
    assert told["version_id"] is told["version"] is told["error"] is told["finished_at"] is None
    assert studio.api("GET", f"imports/{told['id']}").json() == told
    listed = studio.api("GET", f"projects/{studio.project}/imports").json()
    assert listed == {"imports": [told]}
    job = imports.get(studio.db, told["id"])
    assert studio.files.path(job.payload["key"]).read_bytes() == data
    assert job.payload["size"] == len(data)


def test_a_file_sent_in_pieces_of_unknown_number_arrives_whole(studio):
    pieces: Iterator[bytes] = (bytes([number]) * 70_000 for number in range(30))
    told = send(studio, pieces).json()
    stored = studio.files.path(imports.get(studio.db, told["id"]).payload["key"])
    assert stored.read_bytes() == b"".join(bytes([number]) * 70_000 for number in range(30))


def test_what_the_worker_says_is_told(studio):
    told = send(studio).json()
    job = jobs.claim(studio.db, "w", kinds=["import_lora"])
    jobs.finish(studio.db, job, "failed", "lora_unusable", "This is not a whole file.")
    ended = studio.api("GET", f"imports/{told['id']}").json()
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "lora_unusable"
    assert ended["error"]["detail"] == "This is not a whole file."
    assert send(studio).status_code == 202  # and another one may come


@pytest.mark.parametrize("is_announced", [True, False])
def test_more_than_the_limit_is_413_and_leaves_nothing(studio, monkeypatch, is_announced):
    monkeypatch.setattr(imports, "LARGEST", 100_000)
    data = b"x" * 100_001
    refused = send(studio, data if is_announced else iter([data[:60_000], data[60_000:]]))
    is_problem(refused, 413, "too_large")
    assert on_disk(studio) == []
    assert send(studio, data[:-1]).status_code == 202


def test_a_sender_who_goes_away_leaves_nothing(studio):
    sent = []
    arriving = iter(
        [
            {"type": "http.request", "body": b"x" * 1000, "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive():
        return next(arriving)

    async def answer(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/api/v1/projects/{studio.project}/imports",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:7860"), (b"content-type", FILE["content-type"].encode())],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 7860),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }
    with ThreadPoolExecutor(1) as thread:  # this one may run a browser's event loop
        thread.submit(asyncio.run, studio.app(scope, receive, answer)).result()
    assert sent[0]["status"] == 400
    assert b"cut_off" in sent[1]["body"]
    assert on_disk(studio) == []
    assert studio.api("GET", f"projects/{studio.project}/imports").json() == {"imports": []}


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", ""])
def test_another_content_type_is_415_and_leaves_nothing(studio, kind):
    is_problem(send(studio, headers={"content-type": kind}), 415, "unsupported_media_type")
    assert on_disk(studio) == []


def test_an_unknown_project_is_404_before_the_file_is_read(studio):
    is_problem(send(studio, project="none"), 404, "not_found")
    assert on_disk(studio) == []


def test_a_second_import_of_a_project_is_a_conflict(studio):
    send(studio)
    is_problem(send(studio), 409, "import_active")
    assert len(on_disk(studio)) == 1


@pytest.mark.parametrize("name", ["", "x" * 81, "half \x00"])
def test_a_name_out_of_range_is_422(studio, name):
    is_problem(send(studio, name=name), 422, "invalid_value")


def test_a_job_of_another_kind_is_no_import(studio):
    job = jobs.enqueue(studio.db, "housekeeping")
    is_problem(studio.api("GET", f"imports/{job.id}"), 404, "not_found")
    is_problem(studio.api("GET", "imports/none"), 404, "not_found")
    is_problem(studio.api("GET", "projects/none/imports"), 404, "not_found")


def test_the_same_door_as_for_every_route(studio, locked):
    foreign = {**FILE, "origin": "https://elsewhere.example"}
    is_problem(send(studio, headers=foreign), 403, "foreign_origin")
    is_problem(send(studio, headers={**FILE, "host": "elsewhere.example"}), 403, "unknown_host")
    is_problem(send(locked), 401, "sign_in_required")
    assert on_disk(studio) == on_disk(locked) == []
