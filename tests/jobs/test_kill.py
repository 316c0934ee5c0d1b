"""The studio as real processes, killed without warning. Nothing is lost, nothing lingers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.studio import Studio

LONG_UPDATE = {
    "num_inference_steps": 20,
    "min_groups": 2,
    "max_groups_per_update": 4,
    "auto_update_groups": None,
    "buffer_groups": 2,
    "lora_rank": 4,
    "passes": 4,
    "minibatches": 4,
    "micro_batch": 2,
}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Studio(tmp_path / "data", threads=1) as running:
        yield running


def start_update(studio: Studio, folder: Path) -> tuple[str, dict[str, Any]]:
    """Rate two groups and let an update train its first steps."""
    body = {"name": "Tiny", "model": str(folder), "prompts": ["a", "b"], "settings": LONG_UPDATE}
    project = studio.post("/projects", body)["id"]
    for number in range(2):
        group = studio.next_group(project, "ann")
        best = group["images"][0]["id"]
        rating = {
            "event_id": f"event-{number}",
            "group_id": group["id"],
            "rater": "ann",
            "mode": "best",
            "judgement": {image["id"]: float(image["id"] == best) for image in group["images"]},
        }
        assert studio.post("/ratings", rating)["usable"]
    update = studio.post(f"/projects/{project}/updates")
    until(lambda: seen(studio, update)["phase"] == "training" and seen(studio, update)["step"] > 2)
    return project, update


def seen(studio: Studio, update: dict[str, Any]) -> dict[str, Any]:
    return dict(studio.get(f"/updates/{update['id']}"))


def until(condition: Callable[[], bool], seconds: float = 60) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - started


def test_a_worker_killed_in_mid_update_is_replaced_and_the_update_ends(
    studio: Studio, tiny_folder: Path
) -> None:
    project, update = start_update(studio, tiny_folder)
    worker = worker_of(studio)
    worker.send_signal(signal.SIGKILL)
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    until(lambda: taken_up_again(studio, update, worker.pid), seconds=45)
    until(lambda: seen(studio, update)["status"] == "succeeded", seconds=180)
    assert studio.get(f"/projects/{project}/status")["ratings"] == 2
    for number in range(2):
        group = studio.next_group(project, "ben")
        chosen = group["images"][0]["id"]
        judgement = {image["id"]: float(image["id"] == chosen) for image in group["images"]}
        body = {"event_id": f"again-{number}", "group_id": group["id"], "rater": "ben"}
        studio.post("/ratings", body | {"mode": "best", "judgement": judgement})
    assert studio.update(project)["made_live"]


def test_stopping_the_studio_leaves_no_process(tmp_path: Path, tiny_folder: Path) -> None:
    with Studio(tmp_path / "data", threads=1) as studio:
        start_update(studio, tiny_folder)
        family = psutil.Process(studio.process.pid).children(recursive=True)
        assert family
    until(lambda: not any(member.is_running() for member in family), seconds=5)


def test_a_studio_killed_itself_takes_its_worker_along(tmp_path: Path, tiny_folder: Path) -> None:
    with Studio(tmp_path / "data", threads=1) as studio:
        project, update = start_update(studio, tiny_folder)
        worker = worker_of(studio)
        studio.process.kill()
        until(lambda: not worker.is_running(), seconds=5)
        port = studio.port
    with Studio(tmp_path / "data", threads=1, port=port) as again:
        until(lambda: seen(again, update)["status"] == "succeeded", seconds=180)
        assert again.get(f"/projects/{project}/status")["ratings"] == 2


def taken_up_again(studio: Studio, update: dict[str, Any], killed: int) -> bool:
    """Ended, or training again in another worker."""
    now = seen(studio, update)
    if now["status"] in {"succeeded", "failed"}:
        return True
    others = [member for member in workers_of(studio) if member.pid != killed]
    return bool(others) and studio.health()["worker"]["state"] == "busy"


def worker_of(studio: Studio) -> psutil.Process:
    [worker] = workers_of(studio)
    return worker


def workers_of(studio: Studio) -> list[psutil.Process]:
    family = psutil.Process(studio.process.pid).children(recursive=True)
    return [m for m in family if m.status() != psutil.STATUS_ZOMBIE and runs_worker(m)]


def runs_worker(process: psutil.Process) -> bool:
    return "loop_studio.jobs.worker" in " ".join(process.cmdline())
