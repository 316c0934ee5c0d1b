"""The worker's bench: database, files, the one loaded model, and what happens between two steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from loop_studio.errors import StudioError
from loop_studio.jobs.models import Models
from loop_studio.storage import jobs, updates
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.schema import Job

REPORT_EVERY_S = 0.25


class Cancelled(StudioError):
    """Someone cancelled the job; nothing of it is published."""

    code = "cancelled"


class Stopping(StudioError):
    """The studio is shutting down; the job goes back to the queue."""

    code = "stopping"


@dataclass(frozen=True)
class Pace:
    """Where a phase of a job began, to tell how long the rest will take."""

    job_id: str
    phase: str
    step: int
    at: float


@dataclass
class Bench:
    """What every job works with."""

    db: Database
    files: FileStore
    models: Models
    worker_id: str
    stop: Event = field(default_factory=Event)
    serve_raters: Callable[[Job], None] = lambda job: None  # set by the worker
    _reported_at: float = 0.0
    _pace: Pace | None = None

    def between(self, job: Job, phase: str, step: int, steps: int) -> None:
        """Between two steps of a job: report, obey, and let raters who run short go first.

        Raises Cancelled, Stopping, or storage's LostLease when another worker has taken over.
        """
        if self.stop.is_set():
            raise Stopping("The studio is stopping.")
        if time.monotonic() - self._reported_at < REPORT_EVERY_S and step < steps:
            return
        if jobs.cancel_requested(self.db, job):
            raise Cancelled("Cancelled on request.")
        if job.update_id is None:
            jobs.progress(self.db, job, phase, step, steps)
        else:
            eta_s = self._eta_s(job, phase, step, steps)
            updates.progress(self.db, job, phase, step, steps, eta_s)
        self.serve_raters(job)
        self._reported_at = time.monotonic()

    def _eta_s(self, job: Job, phase: str, step: int, steps: int) -> float | None:
        """Seconds left of this phase at its own pace; None before it has one."""
        pace, moment = self._pace, time.monotonic()
        if pace is None or (pace.job_id, pace.phase) != (job.id, phase):
            self._pace = Pace(job.id, phase, step, moment)
            return None
        done = step - pace.step
        return (moment - pace.at) / done * (steps - step) if done > 0 else None
