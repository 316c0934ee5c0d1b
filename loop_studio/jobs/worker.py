"""The worker process: the only one that touches the accelerator. Claims a job, runs it, repeats.

python -m loop_studio.jobs.worker ID      started by jobs.supervisor, ends when that ends
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import FrameType

import torch
from diffusers.utils.logging import disable_progress_bar

from loop_studio import logs
from loop_studio.diffusion.recipe import groups_per_pass
from loop_studio.errors import StudioError
from loop_studio.jobs import (
    check_model,
    export,
    housekeeping,
    import_lora,
    import_project,
    learned,
    rollout,
    samples,
    score,
    update,
)
from loop_studio.jobs.bench import Bench, Cancelled, Paused, Stopping, memory_in_use
from loop_studio.jobs.models import Models
from loop_studio.rewards.model import RewardModels
from loop_studio.settings import Settings
from loop_studio.storage import audit, jobs, projects, status, updates, workers
from loop_studio.storage.database import Busy, Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.jobs import LostLease
from loop_studio.storage.schema import Job, now

log = logging.getLogger(__name__)

RUN: dict[str, Callable[..., None]] = {
    "rollout": rollout.run,
    "score": score.run,
    "update": update.run,
    "samples": samples.run,
    "check_model": check_model.run,
    "housekeeping": housekeeping.run,
    "import_lora": import_lora.run,
    "export": export.run,
    "import_project": import_project.run,
    "fit_reward": learned.run,
}
MAKES_GROUPS = ("rollout", "check_model")  # their failure means that raters wait in vain
IDLE_S = 0.15
HEARTBEAT_S = 2.0
COMPUTE_S = 10.0
RATERS_SHORT = 2  # with fewer groups ready, a rollout goes before the next micro-batch


def main(worker_id: str, settings: Settings) -> None:
    """Run until told to stop, or until the parent process is gone."""
    logs.configure(settings.log_format)
    disable_progress_bar()
    os.nice(10)
    db = Database(settings.resolved_database_url)
    device = choose_device(settings.device)
    files = FileStore(settings.files)
    models = Models(db, files, device, settings.hub_token, settings.attention)
    bench = Bench(db, files, models, RewardModels(settings, str(device)), worker_id)
    workers.register(db, str(device), os.getpid(), worker_id)
    worker = Worker(bench)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, worker.on_signal)
    worker.run_forever()


def choose_device(wanted: str | None) -> torch.device:
    """The device asked for, or the best one there is."""
    if wanted:
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class Worker:
    """The loop around one bench, and the heartbeat beside it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._held: list[Job] = []
        self._computed_at: datetime | None = None
        bench.serve_raters = self._serve_raters

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """First signal: finish the step, write, stop. Second: leave at once."""
        if self.bench.stop.is_set():
            os._exit(1)
        self.bench.stop.set()

    def run_forever(self) -> None:
        """Claim and run until stopped."""
        with self.alive(), audit.acting(audit.STUDIO):
            self._check_paused_projects()
            while not self.bench.stop.is_set():
                try:
                    idle_s = 0.0 if self.run_next() else IDLE_S
                except StudioError as error:  # a full disk, a busy database: it may pass
                    log.error("no job could be claimed or ended: %s", error.detail)
                    idle_s = HEARTBEAT_S
                self.bench.stop.wait(idle_s)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Say that this worker is ready, then that it lives, and in the end that it stopped."""
        self._compute()
        workers.beat(self.bench.db, self.bench.worker_id, "ready", self._computed_at)
        for watch in (self._beat, self._watch_accelerator):
            threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            self.bench.stop.set()
            workers.mark(self.bench.db, self.bench.worker_id, "stopped", None)

    def _check_paused_projects(self) -> None:
        """A restart is how people mend a model: look again where no group could be made."""
        for project in projects.all(self.bench.db):
            if project.generation_error and not project.archived:
                jobs.enqueue(self.bench.db, "check_model", project.id, priority=20)

    def run_next(self) -> bool:
        """Claim one job, or rollouts to make together, and run to the end; False if none waits."""
        job = jobs.claim(self.bench.db, self.bench.worker_id)
        if job is None:
            return False
        self.run(job, *self._companions(job))
        return True

    def run(self, *claimed: Job) -> None:
        """Run one claimed job, or rollouts of one project, to the end, whatever that is."""
        self._held += claimed
        before = logs.job_id.set(claimed[0].id)
        try:
            self._attempt(claimed)
        finally:
            logs.job_id.reset(before)
            for job in claimed:
                self._held.remove(job)

    def _attempt(self, claimed: Sequence[Job]) -> None:
        """One of the two places that catch everything: the border of a job."""
        kind = claimed[0].kind
        try:
            RUN[kind](self.bench, *claimed)
        except (LostLease, Stopping, Busy) as error:  # what is still ours goes back to the queue
            log.info("%s", error)
            self._each(claimed, lambda job: jobs.requeue(self.bench.db, job))
        except Cancelled as error:
            self._end(claimed, "cancelled", error.code, error.detail)
        except Paused as error:
            log.info("%s", error)
            self._each(claimed, lambda job: updates.park(self.bench.db, job))
        except StudioError as error:
            log.warning("job %s (%s) failed: %s", claimed[0].id, kind, error.detail)
            self._end(claimed, "failed", error.code, error.detail, traceback.format_exc())
        except Exception as error:  # the border: a job's bug must not end the worker
            log.exception("job %s (%s) failed", claimed[0].id, kind)
            self._end(claimed, "failed", *explain(error), traceback.format_exc())

    def _end(
        self, claimed: Sequence[Job], state: str, code: str, detail: str, trace: str = ""
    ) -> None:
        """End what did not succeed; a group that cannot be made pauses its project."""
        db, first = self.bench.db, claimed[0]
        ended = self._each(claimed, lambda job: jobs.finish(db, job, state, code, detail, trace))
        if ended and state == "failed" and first.kind in MAKES_GROUPS and first.project_id:
            projects.set_generation_error(db, first.project_id, detail)

    def _each(self, claimed: Sequence[Job], act: Callable[[Job], None]) -> int:
        """Act on every job that is still ours, neither ended nor taken over; how many were."""
        count = 0
        for job in claimed:
            try:
                act(job)
                count += 1
            except LostLease as error:
                log.info("%s", error)
        return count

    def _companions(self, job: Job) -> list[Job]:
        """Rollouts to make in the same passes as this one, unless a rater may be waiting for it."""
        db, worker_id = self.bench.db, self.bench.worker_id
        if job.kind != "rollout" or job.project_id is None:
            return []
        if status.ready_groups(db, job.project_id) < RATERS_SHORT:
            return []
        together = groups_per_pass(projects.config(db, job.project_id))
        found: list[Job] = []
        while len(found) + 1 < together:
            another = jobs.claim(db, worker_id, kinds=["rollout"], project_id=job.project_id)
            if another is None:
                break
            found.append(another)
        return found

    def _serve_raters(self, job: Job) -> None:
        """Between two steps of a long job: make a group for raters who are about to run out."""
        if job.kind == "rollout" or job.project_id is None:
            return
        if status.ready_groups(self.bench.db, job.project_id) >= RATERS_SHORT:
            return
        waiting = jobs.claim(
            self.bench.db, self.bench.worker_id, kinds=["rollout"], project_id=job.project_id
        )
        if waiting is not None:  # one, so that the long job also gets on
            self.run(waiting)

    def _beat(self) -> None:
        """Say that we are alive, and keep the leases of what we hold."""
        while not self.bench.stop.wait(HEARTBEAT_S):
            held = [job.id for job in list(self._held)]
            try:
                state = "busy" if held else "ready"
                memory = memory_in_use(self.bench.models.device)
                workers.beat(self.bench.db, self.bench.worker_id, state, self._computed_at, memory)
                jobs.heartbeat(self.bench.db, held, self.bench.worker_id)
            except StudioError as error:
                log.error("no heartbeat this time: %s", error.detail)

    def _watch_accelerator(self) -> None:
        """In a thread of its own: a device that hangs shall not stop the heartbeat."""
        while not self.bench.stop.wait(COMPUTE_S):
            self._compute()

    def _compute(self) -> None:
        """See that the accelerator computes."""
        try:
            if torch.ones(2, device=self.bench.models.device).sum().item() == 2:
                self._computed_at = now()
        except RuntimeError as error:  # a driver that is gone; the health check tells of it
            log.error("the accelerator does not compute: %s", error)


def explain(error: Exception) -> tuple[str, str]:
    """Code and one sentence for memory and numbers that run out, and for what nobody foresaw."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return (
            "out_of_memory",
            "The accelerator ran out of memory. Turn on gradient_checkpointing in the settings, or "
            "lower group_size.",
        )
    if isinstance(error, FloatingPointError):
        return (
            "not_finite",
            "The gradient was no longer a number, so nothing was learned. Lower learning_rate in "
            "the settings, or make an earlier version live.",
        )
    return (
        "internal_error",
        f"The job met an error it did not expect ({type(error).__name__}). "
        "Its details are in the log of the worker; try again, and report it if it comes back.",
    )


def _end_with_parent() -> None:
    """The parent holds the other end of our standard input: its end is our end, however it came."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Settings())
