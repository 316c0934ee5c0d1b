"""Updates without people and without pages: this process is the worker itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from loop_studio.errors import NotFound, StudioError
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.models import Models
from loop_studio.jobs.worker import IDLE_S, Worker, choose_device
from loop_studio.rewards.catalogue import entry
from loop_studio.rewards.model import RewardModels
from loop_studio.settings import Settings
from loop_studio.storage import autopilots, jobs, projects, workers
from loop_studio.storage.autopilots import OPEN, Budget
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Autopilot, Update, new_id


def fly(
    settings: Settings, db: Database, project_id: str, reward: str, budget: Budget
) -> Iterator[Update]:
    """Update a project on one reward until the budget is spent; yields each update when done.

    An update that an earlier run was killed in is ended first and counts as one. The project keeps
    the reward as its setting. Raises NotFound for an unknown reward, StudioError with the update's
    own sentence when one fails: the autopilot is then paused, and `fly_on` goes on with it.
    """
    if entry(reward) is None:
        raise NotFound(f"There is no reward model called {reward!r}.")
    budget.checked()
    parameters = projects.reward(db, project_id).parameters
    weights = RewardWeights(human=0.0, models={reward: 1.0}, parameters=parameters)
    projects.set_reward(db, project_id, weights)
    left = autopilots.latest(db, project_id)
    if left is not None and left.state in OPEN:
        autopilots.stop(db, left.id)
    yield from _fly(settings, db, autopilots.start(db, project_id, budget))


def fly_on(settings: Settings, db: Database, project_id: str) -> Iterator[Update]:
    """Go on with what is left of the budget of the project's autopilot. Raises NotFound."""
    left = autopilots.latest(db, project_id)
    if left is None or left.state not in OPEN:
        raise NotFound("No autopilot of this project is running or paused; start one.")
    yield from _fly(settings, db, autopilots.resume(db, left.id))


def _fly(settings: Settings, db: Database, pilot: Autopilot) -> Iterator[Update]:
    """Be the worker until the autopilot has ended. Paused from a page, it waits."""
    jobs.expire_leases(db)  # who runs this holds the data folder: no worker of before is alive
    autopilots.wake(db)
    worker = make_worker(settings, db)
    with worker.alive():
        while True:
            step = autopilots.advance(db, pilot.id)
            if step.done is not None:
                yield step.done
            if step.autopilot.state not in OPEN:
                return
            if step.autopilot.state == "paused" and step.autopilot.sentence:
                raise StudioError(step.autopilot.sentence, "autopilot_paused")
            if not worker.run_next():
                time.sleep(IDLE_S)


def make_worker(settings: Settings, db: Database) -> Worker:
    """A worker in this process, for autopilot and for tests that step through jobs."""
    files, device, worker_id = FileStore(settings.files), choose_device(settings.device), new_id()
    workers.register(db, str(device), os.getpid(), worker_id)
    models = Models(db, files, device, settings.hub_token, settings.attention)
    return Worker(Bench(db, files, models, RewardModels(settings, str(device)), worker_id))
