"""Real workers that meet their end where a test says, forked from a process that is warm.

Importing torch and diffusers takes longer than a tiny update. So each worker is forked from a
server process that has imported everything and run nothing: no thread, no tensor, no connection.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from sqlalchemy import Engine, event

from loop_studio.jobs import bench, version_files, worker
from loop_studio.settings import Settings
from loop_studio.storage import jobs
from loop_studio.storage.database import Database
from loop_studio.storage.schema import new_id
from tests import tiny as tiny  # its classes are imported once, before any fork

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload([__name__])
PUBLISH = "publish"  # of an update, from the first file of its version


@dataclass(frozen=True)
class Moment:
    """Right before the nth lasting write of one kind of work: a commit, or a file's beginning or
    its taking of its name. Between two of them the disk stays as it is.
    """

    work: str  # a kind of job, or PUBLISH
    write: int
    later_s: float = 0.0
    blow: signal.Signals = signal.SIGKILL


class Life:
    """One life of a worker; at the end of the block it is gone, and others may take up its jobs."""

    def __init__(self, settings: Settings, moment: Moment | None = None) -> None:
        self.id = new_id()
        self._settings = settings
        self.line, theirs = FORK.Pipe()  # as the supervisor's pipe: its end is the worker's end
        arguments = (settings, self.id, theirs, moment)
        self.process = FORK.Process(target=_live, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def __enter__(self) -> Life:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()
        db = Database(self._settings.resolved_database_url)
        jobs.expire_leases(db, self.id)  # as the supervisor does
        db.dispose()

    def until(self, condition: Callable[[], bool], seconds: float = 120) -> float:
        """Wait for a condition or for the worker's end; how long it took."""
        started = time.monotonic()
        while self.process.is_alive() and not condition():
            assert time.monotonic() - started < seconds, f"not within {seconds} s"
            time.sleep(0.02)
        return time.monotonic() - started

    def until_held(self) -> None:
        """Wait until the blow was a SIGSTOP and has come."""
        told = psutil.Process(self.process.pid)
        self.until(lambda: told.status() == psutil.STATUS_STOPPED)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid or 0, number)

    def end(self, seconds: float = 60) -> int | None:
        """Wait for its end; its status."""
        self.process.join(seconds)
        return self.process.exitcode

    def stop(self) -> Counter[str]:
        """Stop it in an orderly way; the lasting writes of every kind of work."""
        self.signal(signal.SIGTERM)
        assert self.line.poll(60), "the worker did not stop"
        counts: Counter[str] = self.line.recv()
        assert self.end() == 0
        return counts


def _live(settings: Settings, worker_id: str, line: Connection, moment: Moment | None) -> None:
    """The worker's own main, with its fate."""
    sys.stdin = os.fdopen(os.dup(line.fileno()))
    fate = _Fate(moment, settings.files)
    fate.watch()
    worker.main(worker_id, settings)
    line.send(fate.counts)


class _Fate:
    """Counts the lasting writes of this process, and strikes at the chosen one."""

    def __init__(self, moment: Moment | None, files: Path) -> None:
        self.counts: Counter[str] = Counter()
        self._moment = moment
        self._files = str(files)
        self._work = ""
        self._thread = threading.get_ident()  # the heartbeat's writes are of no work

    def watch(self) -> None:
        """Every step is reported, so that each worker makes the same writes."""
        bench.REPORT_EVERY_S = 0.0
        for kind, run in worker.RUN.items():
            worker.RUN[kind] = self._during(kind, run)
        version_files.write = self._from_here(PUBLISH, version_files.write)
        event.listen(Engine, "commit", lambda _: self._before_write())
        sys.addaudithook(self._on_audit)

    def _during(self, kind: str, run: Callable[..., None]) -> Callable[..., None]:
        def watched(*arguments: Any) -> None:
            before, self._work = self._work, kind
            try:
                run(*arguments)
            finally:
                self._work = before

        return watched

    def _from_here(self, work: str, write: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self._work = work
            return write(*arguments)

        return watched

    def _on_audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        is_begun = name == "open" and "w" in str(arguments[1])
        if (is_begun or name == "os.rename") and str(arguments[0]).startswith(self._files):
            self._before_write()

    def _before_write(self) -> None:
        if not self._work or threading.get_ident() != self._thread:
            return
        self.counts[self._work] += 1
        chosen = self._moment
        if chosen is None or (self._work, self.counts[self._work]) != (chosen.work, chosen.write):
            return
        if chosen.later_s:
            threading.Timer(chosen.later_s, self._strike, [chosen]).start()
        else:
            self._strike(chosen)

    @staticmethod
    def _strike(chosen: Moment) -> None:
        os.kill(os.getpid(), chosen.blow)
