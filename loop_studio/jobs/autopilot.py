"""Updates without people: an automatic reward scores, and this process is the worker itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from loop_studio.errors import NotFound, StudioError
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.models import Models
from loop_studio.jobs.worker import IDLE_S, Worker, choose_device
from loop_studio.rewards.catalogue import entry
from loop_studio.settings import Settings
from loop_studio.storage import jobs, projects, updates, workers
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import ACTIVE, Update, new_id


def fly(
    settings: Settings, db: Database, project_id: str, reward: str, count: int
) -> Iterator[Update]:
    """Run `count` updates of a project on one automatic reward; yields each when it is done.

    An update that an earlier run was killed in is ended first and counts as one. The project keeps
    the automatic reward as its setting. Raises NotFound for an unknown reward, StudioError with
    the update's own sentence when one fails.
    """
    if entry(reward) is None:
        raise NotFound(f"There is no reward model called {reward!r}.")
    projects.set_reward(db, project_id, RewardWeights(human=0.0, models={reward: 1.0}))
    jobs.expire_leases(db)  # who runs this holds the data folder: no worker of before is alive
    worker = make_worker(settings, db)
    with worker.alive():
        for _ in range(count):
            update = updates.active(db, project_id) or updates.create(db, project_id)
            while update.status in ACTIVE:
                if not worker.run_next():
                    time.sleep(IDLE_S)  # its lease has yet to lapse
                update = updates.get(db, update.id)
            if update.status != "succeeded":
                sentence = update.error_detail or "The update was cancelled."
                raise StudioError(sentence, update.error_code)
            yield update


def make_worker(settings: Settings, db: Database) -> Worker:
    """A worker in this process, for autopilot and for tests that step through jobs."""
    files, device, worker_id = FileStore(settings.files), choose_device(settings.device), new_id()
    workers.register(db, str(device), os.getpid(), worker_id)
    models = Models(db, files, device, settings.hub_token, settings.attention)
    return Worker(Bench(db, files, models, worker_id))
