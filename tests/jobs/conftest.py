"""A studio whose worker the test steps through by hand, on a tiny model of the real classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from loop_studio.jobs.autopilot import make_worker
from loop_studio.jobs.worker import Worker
from loop_studio.settings import Settings
from loop_studio.storage import groups, projects, ratings
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.ratings import RatingIn
from loop_studio.storage.schema import Project
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
