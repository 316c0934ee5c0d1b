"""An import without pages: this process is the worker itself, as `python app.py import` runs it."""

from __future__ import annotations

from pathlib import Path

from loop_studio.errors import Invalid, Refused, TooLarge
from loop_studio.jobs.autopilot import make_worker
from loop_studio.jobs.pieces import chunks
from loop_studio.jobs.worker import Worker
from loop_studio.settings import Settings
from loop_studio.storage import imports, jobs
from loop_studio.storage.database import Database
from loop_studio.storage.files import new_key


def bring_in(settings: Settings, db: Database, project_id: str, file: Path, name: str) -> int:
    """Import a LoRA file into a project; returns the number of its version, which is not live.

    Raises TooLarge, Invalid for a file that cannot be read, and Refused with the worker's sentence.
    """
    if not file.is_file():
        raise Invalid(f"There is no file {file}; give the path of a LoRA's .safetensors file.")
    if file.stat().st_size > imports.LARGEST:
        raise TooLarge(imports.TOO_LARGE)
    jobs.expire_leases(db)  # who runs this holds the data folder: no worker of before is alive
    worker = make_worker(settings, db)
    with worker.alive():
        _run_waiting(worker, project_id)  # what an earlier run was killed in
        stored = worker.bench.files.put(new_key(".safetensors"), chunks(file))
        queued = imports.create(db, project_id, stored, name)
        _run_waiting(worker, project_id)
    ended = imports.get(db, queued.id)
    if ended.state != "succeeded":
        raise Refused(ended.error_detail or "The import was stopped; try again.", ended.error_code)
    number: int = ended.payload["version"]
    return number


def _run_waiting(worker: Worker, project_id: str) -> None:
    """Run the project's imports that wait, and nothing else."""
    db, worker_id = worker.bench.db, worker.bench.worker_id
    while job := jobs.claim(db, worker_id, [imports.KIND], project_id):
        worker.run(job)
