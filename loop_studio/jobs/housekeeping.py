"""Job `housekeeping`: remove files that no row names and half-written ones, left by a crash."""

from __future__ import annotations

import time

from loop_studio.jobs.bench import Bench
from loop_studio.storage import jobs, references
from loop_studio.storage.schema import Job

GRACE_S = 3600.0  # a file is written before the row that names it


def run(bench: Bench, job: Job) -> None:
    """Delete unreferenced files older than an hour. Repeating or interrupting it does no harm."""
    named = references.keys(bench.db)
    limit = time.time() - GRACE_S
    for key in list(bench.files.keys()):
        if key not in named and bench.files.path(key).stat().st_mtime < limit:
            bench.files.delete(key)
    bench.files.drop_partials(GRACE_S)
    jobs.finish(bench.db, job, "succeeded")
