"""Workers and whole studios, killed without warning. Nothing is lost, nothing lingers."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from benchmarks.studio import Studio
from loop_studio.jobs.autopilot import make_worker
from loop_studio.settings import Settings
from loop_studio.storage import jobs, projects, prompts, references, updates, workers
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.refilling import ROLLOUT_PRIORITY
from loop_studio.storage.schema import (
    ACTIVE,
    Group,
    Image,
    Job,
    Rating,
    Samples,
    Score,
    Update,
    UpdateInput,
    Version,
    VersionFile,
)
from tests.jobs.conftest import SETTINGS, Desk
from tests.jobs.mortal import PUBLISH, Life, Moment

WORKS = ("update", PUBLISH, "rollout", "score")  # in the order of the queue
SOAKED = range(1, 8)
MADE = (Group, Image, Samples, Score, UpdateInput, Version, VersionFile)
TWO_HOURS = 7200.0


Content = tuple[Any, bytes]


def content(path: Path) -> Content:
    """A safetensors file: its header, in which words may stand in any order, and its tensors."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:start]), data[start:]


@dataclass
class Begun:
    """A data folder in which an update, two groups and a scoring wait."""

    data: Path
    project_id: str
    ratings: list[tuple[str, str]]
    writes: Counter[str]  # of a worker that nobody disturbs
    made: dict[str, int]  # rows that it leaves
    version: dict[str, Content]  # what that one publishes


class Copy:
    """A copy of such a folder, for workers that are disturbed."""

    def __init__(self, source: Path, data: Path) -> None:
        shutil.copytree(source, data)
        self.settings = Settings(data=data, port=0, device="cpu")
        self.db = Database(self.settings.resolved_database_url)
        self.files = FileStore(self.settings.files)

    def life(self, moment: Moment | None = None) -> Life:
        return Life(self.settings, moment)

    def rows(self, table: type[Any], *where: Any) -> list[Any]:
        with self.db.read() as session:
            return list(session.scalars(select(table).where(*where)))

    def is_idle(self) -> bool:
        return not self.rows(Job, Job.state.in_(ACTIVE))

    def ratings(self) -> list[tuple[str, str]]:
        return sorted((row.event_id, row.status) for row in self.rows(Rating))

    def made(self) -> dict[str, int]:
        return {table.__tablename__: len(self.rows(table)) for table in MADE}

    def version(self, number: int) -> Version:
        [chosen] = self.rows(Version, Version.number == number)
        return chosen

    def files_of(self, version: Version) -> dict[str, Content]:
        stored = self.rows(VersionFile, VersionFile.version_id == version.id)
        return {file.kind: content(self.files.path(file.key)) for file in stored}


@pytest.fixture(scope="module")
def begun(
    migrated_data: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Begun:
    started = Copy(migrated_data, tmp_path_factory.mktemp("begun") / "data")
    db, settings = started.db, started.settings
    texts = [(f"prompt {number}", []) for number in range(2)]
    values = SETTINGS | {"max_groups_per_update": 2}
    project = projects.create(db, "Tiny", str(tiny_folder), texts, values)
    desk = Desk(db, started.files, make_worker(settings, db), project)
    desk.rate(4)  # for two updates
    desk.work()  # the raters' buffer is full: no group comes between two steps of the update
    for prompt in prompts.active(db, project.id):
        jobs.enqueue(db, "rollout", project.id, {"prompt_id": prompt.id}, ROLLOUT_PRIORITY)
    projects.set_reward(db, project.id, RewardWeights(1.0, {"brightness": 0.5}))
    updates.create(db, project.id)
    ratings = started.ratings()
    db.dispose()
    undisturbed = Copy(settings.data, tmp_path_factory.mktemp("undisturbed") / "data")
    with undisturbed.life() as life:
        life.until(undisturbed.is_idle)
        writes = life.stop()
    version, made = undisturbed.files_of(undisturbed.version(1)), undisturbed.made()
    undisturbed.db.dispose()
    return Begun(settings.data, project.id, ratings, writes, made, version)


@pytest.fixture
def copy(begun: Begun, tmp_path: Path) -> Iterator[Copy]:
    made = Copy(begun.data, tmp_path / "data")
    yield made
    made.db.dispose()


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in SOAKED)])
def test_workers_killed_at_random_moments_lose_nothing_and_end_in_the_same_weights(
    begun: Begun, copy: Copy, seed: int
) -> None:
    """Four moments a seed, each in its own work: training, publishing, generating, scoring."""
    draw = random.Random(seed)
    for work in WORKS:
        later_s = draw.choice([0.0, draw.uniform(0.001, 0.03)])
        with copy.life(Moment(work, draw.randint(1, begun.writes[work]), later_s)) as life:
            assert life.end() == -signal.SIGKILL
        assert_whole(begun, copy)
    age(copy.files)
    jobs.enqueue(copy.db, "housekeeping", priority=-9)
    with copy.life() as life:
        life.until(copy.is_idle)
        assert_done(begun, copy)
        update = updates.create(copy.db, begun.project_id)
        life.until(copy.is_idle)
    assert updates.get(copy.db, update.id).made_live
    assert copy.version(2).parent_id == copy.version(1).id


def test_a_worker_that_is_stopped_or_orphaned_ends_and_its_update_goes_on_to_the_same_weights(
    begun: Begun, copy: Copy
) -> None:
    middle = begun.writes["update"] // 2
    with copy.life(Moment("update", middle, blow=signal.SIGTERM)) as life:
        assert life.end() == 0
        [job] = copy.rows(Job, Job.kind == "update")
        assert (job.state, job.worker_id, job.attempt) == ("queued", None, 0)
        assert workers.current(copy.db).state == "none"
    with copy.life(Moment("update", middle, blow=signal.SIGSTOP)) as life:
        life.until_held()
        life.line.close()  # as when the studio itself is killed
        life.signal(signal.SIGCONT)
        assert life.end(10) == 0
        [job] = copy.rows(Job, Job.kind == "update")
        assert job.state == "running"
    assert_whole(begun, copy)
    with copy.life() as life:
        life.until(lambda: not copy.rows(Update, Update.status.in_(ACTIVE)))
    assert copy.files_of(copy.version(1)) == begun.version


def assert_whole(begun: Begun, copy: Copy) -> None:
    """Whatever the moment: every rating is there, and every row has all of its files."""
    assert copy.ratings() == begun.ratings
    assert references.keys(copy.db) <= set(copy.files.keys())
    for file in [*copy.rows(VersionFile), *copy.rows(Image)]:
        assert copy.files.is_whole(file.key, file.sha256)
    [update] = copy.rows(Update)
    published = copy.rows(Version, Version.number > 0)
    assert [version.id for version in published] == [update.version_id] * bool(update.version_id)
    assert (update.status == "succeeded") == bool(published)
    for version in published:
        assert copy.files_of(version) == begun.version
        assert version.parent_id == copy.version(0).id
    made = copy.rows(Job, Job.kind == "rollout", Job.state == "succeeded")
    assert len(copy.rows(Group)) == len(made)


def assert_done(begun: Begun, copy: Copy) -> None:
    """Everything was done, once, and nothing lies about."""
    assert_whole(begun, copy)
    assert {job.state for job in copy.rows(Job)} == {"succeeded"}
    assert copy.version(1).id == projects.get(copy.db, begun.project_id).live_version_id
    assert copy.made() == begun.made
    assert set(copy.files.keys()) == references.keys(copy.db)
    assert not list(copy.files.root.rglob("*.partial"))


def age(files: FileStore) -> None:
    """Housekeeping leaves young files alone: a row may be about to name them."""
    long_ago = time.time() - TWO_HOURS
    for path in files.root.rglob("*"):
        os.utime(path, (long_ago, long_ago))


# Whole studios, as people start them.

LONG_UPDATE = SETTINGS | {
    "num_inference_steps": 20,
    "micro_batch": 2,
    "buffer_groups": 2,
    "passes": 16,
}


def start_update(studio: Studio, folder: Path) -> tuple[str, dict[str, Any]]:
    """Rate two groups and let an update train its first steps."""
    body = {"name": "Tiny", "model": str(folder), "prompts": ["a", "b"], "settings": LONG_UPDATE}
    project: str = studio.post("/projects", body)["id"]
    rate_two_groups(studio, project, "ann")
    update = studio.post(f"/projects/{project}/updates")
    until(lambda: is_training(studio, update))
    return project, update


def rate_two_groups(studio: Studio, project: str, rater: str) -> None:
    for _ in range(2):
        group = studio.next_group(project, rater)
        best = group["images"][0]["id"]
        judgement = {image["id"]: float(image["id"] == best) for image in group["images"]}
        event = {"event_id": f"{rater}-{group['id']}", "group_id": group["id"], "rater": rater}
        assert studio.post("/ratings", event | {"mode": "best", "judgement": judgement})["usable"]


def is_training(studio: Studio, update: dict[str, Any]) -> bool:
    now = studio.get(f"/updates/{update['id']}")
    return bool(now["phase"] == "training" and now["step"] > 2)


def until(condition: Callable[[], bool], seconds: float = 60) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - started


@pytest.mark.soak
def test_a_studio_replaces_a_killed_worker_and_its_update_ends(
    tmp_path: Path, tiny_folder: Path
) -> None:
    with Studio(tmp_path / "data", threads=1) as studio:
        project, update = start_update(studio, tiny_folder)
        [worker] = workers_of(studio)
        worker.kill()
        until(lambda: not runs(worker))
        until(lambda: bool(workers_of(studio)) and is_training(studio, update), seconds=45)
        until(lambda: has_ended(studio, update), seconds=180)
        assert studio.get(f"/projects/{project}/status")["ratings"] == 2
        rate_two_groups(studio, project, "ben")
        assert studio.update(project)["made_live"]


@pytest.mark.soak
def test_an_update_outlives_a_stop_of_the_studio_and_its_sudden_death(
    tmp_path: Path, tiny_folder: Path
) -> None:
    data = tmp_path / "data"
    with Studio(data, threads=1) as studio:
        project, update = start_update(studio, tiny_folder)
        family = psutil.Process(studio.process.pid).children(recursive=True)
        assert family
        asked = time.monotonic()
    assert time.monotonic() - asked < 60
    until(lambda: not any(map(runs, family)), seconds=5)
    with Studio(data, threads=1, port=studio.port) as studio:
        until(lambda: is_training(studio, update))
        [worker] = workers_of(studio)
        studio.process.kill()
        until(lambda: not runs(worker), seconds=5)
    with Studio(data, threads=1, port=studio.port) as studio:
        until(lambda: has_ended(studio, update), seconds=180)
        assert studio.get(f"/projects/{project}/status")["ratings"] == 2


def has_ended(studio: Studio, update: dict[str, Any]) -> bool:
    status = studio.get(f"/updates/{update['id']}")["status"]
    assert status in {"queued", "running", "succeeded"}
    return bool(status == "succeeded")


def workers_of(studio: Studio) -> list[psutil.Process]:
    family = psutil.Process(studio.process.pid).children(recursive=True)
    return [one for one in family if runs(one) and "loop_studio.jobs.worker" in one.cmdline()]


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
