"""A studio whose worker the test steps through by hand, on a tiny model of the real classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from loop_studio.diffusion.lora_file import Checkpoint, kohya_lora
from loop_studio.jobs.autopilot import make_worker
from loop_studio.jobs.worker import Worker
from loop_studio.settings import Settings
from loop_studio.storage import groups, imports, jobs, projects, ratings, versions
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore, new_key
from loop_studio.storage.ratings import RatingIn
from loop_studio.storage.schema import Project, Version
from tests import tiny

SETTINGS = {
    "group_size": 4,
    "num_inference_steps": 6,
    "min_groups": 2,
    "max_groups_per_update": 4,
    "auto_update_groups": None,
    "buffer_groups": 3,
    "lora_rank": 4,
    "learning_rate": 1e-2,
    "guard": False,  # of a random model's pictures nothing is to be expected
}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_folder(tmp_path_factory.mktemp("tiny") / "model")


@dataclass
class Desk:
    """A project on the tiny model, and the worker that serves it."""

    db: Database
    files: FileStore
    worker: Worker
    project: Project

    def work(self) -> int:
        """Run every job that waits; returns how many."""
        done = 0
        while self.worker.run_next():
            done += 1
        return done

    def rate(self, count: int, rater: str = "ann") -> list[str]:
        """Judge `count` groups best-of-k, the picture with the lowest id first."""
        judged = []
        for _ in range(count):
            shown = groups.next_for(self.db, self.project.id, rater, [])
            while shown is None:
                assert self.work(), "no group and no job to make one"
                shown = groups.next_for(self.db, self.project.id, rater, [])
            best = min(image.id for image in shown.images)
            judgement = {image.id: float(image.id == best) for image in shown.images}
            event = f"{rater}-{shown.id}"
            ratings.record(self.db, RatingIn(event, shown.id, rater, "best", judgement))
            judged.append(shown.id)
        return judged


@pytest.fixture
def desk(db: Database, files: FileStore, settings: Settings, tiny_folder: Path) -> Desk:
    project = projects.create(
        db, "Tiny", str(tiny_folder), [(f"prompt {i}", []) for i in range(3)], SETTINGS
    )
    return Desk(db, files, make_worker(settings, db), project)


def only(desk: Desk, kind: str) -> None:
    """Run the jobs of this kind, and leave the others in the queue."""
    while job := jobs.claim(desk.db, desk.worker.bench.worker_id, [kind]):
        desk.worker.run(job)


@pytest.fixture
def version(desk: Desk) -> Version:
    """Version 1, made of a file: quicker than an update, and nothing here depends on how."""
    state = tiny.policy().adapters.state("live")
    data = kohya_lora(Checkpoint(state, tiny.SHAPE, {}, {}), {}, name="x")
    imports.create(desk.db, desk.project.id, desk.files.put(new_key(".safetensors"), data), "x")
    only(desk, imports.KIND)
    return versions.by_number(desk.db, desk.project.id, 1)
