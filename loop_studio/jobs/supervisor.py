"""Keeps one worker process alive, and holds the clock. Runs beside the web server or alone.

The worker is a fresh process, not a fork: an accelerator cannot be used across a fork, and when
a worker dies of memory, the studio goes on.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections import deque
from typing import IO

from loop_studio import logs
from loop_studio.errors import StudioError
from loop_studio.jobs.clock import Clock
from loop_studio.settings import Settings
from loop_studio.storage import autopilots, jobs, workers
from loop_studio.storage.database import Database
from loop_studio.storage.schema import new_id

log = logging.getLogger(__name__)

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
STARTS_BEFORE_LOST = 5
STOP_TIMEOUT_S = 60.0


class Supervisor:
    """Starts, watches and restarts the worker."""

    def __init__(self, settings: Settings, db: Database) -> None:
        self._db = db
        self._clock = Clock(db, settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._environment = settings.for_child()

    def start(self) -> None:
        """Start the clock and the first worker; returns at once.

        Whoever starts a worker holds the data folder: no worker of before can be alive.
        """
        jobs.expire_leases(self._db)
        autopilots.wake(self._db)
        self._clock.start()
        self._thread.start()

    def stop(self) -> None:
        """Ask the worker to finish its step and write; wait; then make sure that it is gone."""
        self._stopping.set()
        self._clock.stop()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._thread.join()

    def _watch(self) -> None:
        """Run workers one after another: back off 1, 2, 4 .. 60 s while they die without work."""
        delay, fruitless = FIRST_DELAY_S, 0
        while not self._stopping.is_set():
            try:
                fruitful = self._run_one(lost=fruitless + 1 >= STARTS_BEFORE_LOST)
            except StudioError as error:  # a full disk, a busy database: it may pass
                log.error("the worker's state could not be written: %s", error.detail)
                fruitful = False
            if fruitful:
                delay, fruitless = FIRST_DELAY_S, 0
            fruitless += 1
            if not self._stopping.wait(delay):
                log.warning("starting another worker after %.0f s", delay)
            delay = min(2 * delay, LONGEST_DELAY_S)

    def _run_one(self, *, lost: bool) -> bool:
        """One worker from start to end, as its row tells; whether it finished any job."""
        worker_id, finished_before = new_id(), jobs.finished_count(self._db)
        workers.mark(self._db, worker_id, "starting")
        last_words = self._run_worker(worker_id)
        jobs.expire_leases(self._db, worker_id)
        fruitful = jobs.finished_count(self._db) > finished_before
        if not self._stopping.is_set():
            state = "lost" if lost and not fruitful else "starting"
            workers.mark(self._db, worker_id, state, last_words)
            log.warning("the worker ended (%s)", last_words)
        return fruitful

    def _run_worker(self, worker_id: str) -> str:
        """Run one worker to its end; returns the last line it said.

        Its standard input is a pipe that only this process holds: however this process ends,
        the worker reads its end and ends too.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loop_studio.jobs.worker", worker_id],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
        )
        if self._stopping.is_set():  # `stop` may have looked before there was a process
            self._process.terminate()
        assert self._process.stderr is not None
        last_words = _relay(self._process.stderr)
        self._process.wait()
        return last_words


def _relay(stream: IO[bytes]) -> str:
    """Pass a worker's log on to ours, and remember its last line."""
    last: deque[str] = deque(maxlen=1)
    for line in stream:
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
        if line.strip():
            last.append(logs.words(line.decode(errors="replace").strip()))
    return last[0] if last else ""
