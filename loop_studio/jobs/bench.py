"""The worker's bench: database, files, the one loaded model, and what happens between two steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event

import psutil
import torch

from loop_studio.errors import StudioError
from loop_studio.jobs.job_log import JobLog
from loop_studio.jobs.models import Models
from loop_studio.jobs.pace import Pace
from loop_studio.rewards.model import RewardModels
from loop_studio.storage import jobs, updates
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.forecast import past_speeds
from loop_studio.storage.schema import Job
from loop_studio.storage.updates import Figures, Wish

REPORT_EVERY_S = 0.25


class Cancelled(StudioError):
    """Someone cancelled the job; nothing of it is published."""

    code = "cancelled"


class Stopping(StudioError):
    """The studio is shutting down, or what waits goes first; the job goes back to the queue."""

    code = "stopping"


class Paused(StudioError):
    """Someone paused the update; it starts over from its recorded inputs when it is resumed."""

    code = "paused"


@dataclass
class UnderWay:
    """The update that runs: its speed, what it told last, what its process took at most."""

    pace: Pace = field(default_factory=Pace)
    log: JobLog = field(default_factory=JobLog)
    figures: Figures = field(default_factory=Figures)
    peaks: dict[str, float] = field(default_factory=dict)


@dataclass
class Bench:
    """What every job works with."""

    db: Database
    files: FileStore
    models: Models
    rewards: RewardModels
    worker_id: str
    stop: Event = field(default_factory=Event)
    serve_raters: Callable[[Job], None] = lambda job: None  # set by the worker
    under_way: UnderWay = field(default_factory=UnderWay)
    _reported_at: float = 0.0

    def between(self, job: Job, phase: str, step: int, steps: int) -> bool:
        """Between two steps of a job: report, obey, and let raters who run short go first.

        True when the update shall stop and keep what it has learned. Raises Cancelled, Paused,
        Stopping, or storage's LostLease when another worker has taken over.
        """
        if self.stop.is_set():
            raise Stopping("The studio is stopping.")
        if time.monotonic() - self._reported_at < REPORT_EVERY_S and step < steps:
            return False
        wish = self._wish(job)
        if wish.cancel:
            raise Cancelled("Cancelled on request.")
        if wish.pause:
            raise Paused("Paused on request.")
        self._report(job, phase, step, steps)
        self.serve_raters(job)
        self._reported_at = time.monotonic()
        return wish.stop

    def begin(self, job: Job) -> UnderWay:
        """An update begins; what is told from here on is of this one."""
        assert job.project_id is not None
        self.under_way = UnderWay(Pace(past_speeds(self.db, job.project_id)))
        return self.under_way

    def keep_log(self, job: Job) -> None:
        """Store the update's newest log lines, if there are any."""
        said = self.under_way.log
        if said.fresh and job.update_id is not None:
            said.fresh = False
            updates.record_log(self.db, job.update_id, said.lines)

    def _wish(self, job: Job) -> Wish:
        if job.update_id is not None:
            return updates.wish(self.db, job)
        return Wish(cancel=jobs.cancel_requested(self.db, job))

    def _report(self, job: Job, phase: str, step: int, steps: int) -> None:
        now = self.under_way
        if job.update_id is None:
            jobs.progress(self.db, job, phase, step, steps)
            return
        process, accelerator = memory_in_use(self.models.device)
        now.peaks["memory/process_bytes"] = max(now.peaks.get("memory/process_bytes", 0), process)
        if accelerator is not None:
            peak = max(now.peaks.get("memory/accelerator_bytes", 0), accelerator)
            now.peaks["memory/accelerator_bytes"] = peak
        now.figures = replace(
            now.figures,
            samples_per_s=now.pace.samples_per_s(),
            memory_bytes=process,
            accelerator_bytes=accelerator,
        )
        eta_s = now.pace.eta_s() if phase == "training" else None
        updates.progress(self.db, job, phase, step, steps, eta_s, now.figures)
        self.keep_log(job)


def memory_in_use(device: torch.device) -> tuple[int, int | None]:
    """Bytes that this process holds, and bytes on its accelerator, if it has one."""
    process = int(psutil.Process().memory_info().rss)
    if device.type == "cuda":
        return process, torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return process, torch.mps.current_allocated_memory()
    return process, None
