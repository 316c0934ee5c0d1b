"""Job `import_project`: an exported project becomes a new one here."""

from __future__ import annotations

from loop_studio.exchange import project_archive
from loop_studio.jobs.bench import Bench
from loop_studio.storage.schema import Job


def run(bench: Bench, job: Job) -> None:
    """Check the archive and make the project. What was sent, housekeeping removes."""

    def done(step: int, steps: int) -> None:
        bench.between(job, "reading", step, steps)

    done(0, 1)
    with bench.files.open(job.payload["key"]) as file:
        project_archive.bring_in(bench.db, bench.files, job, file, done)
