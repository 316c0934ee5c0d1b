"""Job `housekeeping`: what the payload asks for.

Files that no row names go; or trajectories, where the quota asks for room; or a backup is made.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from loop_studio.jobs.bench import Bench
from loop_studio.storage import backups, jobs, references, room
from loop_studio.storage.schema import Job

GRACE_S = 3600.0  # a file is written before the row that names it


def run(bench: Bench, job: Job) -> None:
    """Do what the payload asks for. Repeating or interrupting it does no harm."""
    wanted = job.payload
    if "backup" in wanted:
        between = partial(bench.between, job, "copying")
        backups.make(bench.db, bench.files, Path(wanted["backup"]), wanted["kept"], between)
    elif "quota" in wanted:
        room.make(bench.db, bench.files, wanted["quota"])
    else:
        tidy(bench)
    jobs.finish(bench.db, job, "succeeded")


def tidy(bench: Bench) -> None:
    """Delete unreferenced files older than an hour, left by a crash."""
    named = references.keys(bench.db)
    limit = time.time() - GRACE_S
    for key in list(bench.files.keys()):
        if key not in named and bench.files.path(key).stat().st_mtime < limit:
            bench.files.delete(key)
    bench.files.drop_partials(GRACE_S)
