"""Exports and imports without pages: this process is the worker itself, for the command line."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loop_studio.errors import Invalid, Refused
from loop_studio.jobs.autopilot import make_worker
from loop_studio.jobs.pieces import chunks
from loop_studio.jobs.worker import Worker
from loop_studio.settings import Settings
from loop_studio.storage import exports, jobs, project_imports
from loop_studio.storage.database import Database
from loop_studio.storage.exports import Format
from loop_studio.storage.files import new_key
from loop_studio.storage.schema import Job


def export(
    settings: Settings,
    db: Database,
    project_id: str,
    format: Format,
    out: Path,
    version_id: str | None = None,
) -> Path:
    """Have something packed and copy it into the folder `out`; returns what it is there.

    A merged pipeline is unpacked, since its readers want a folder. Raises Refused with the
    worker's sentence.
    """
    with _worker(settings, db) as worker:
        queued = exports.create(db, project_id, format, version_id)
        ended = _run(worker, queued)
        stored = worker.bench.files.path(exports.file(ended).key)
        out.mkdir(parents=True, exist_ok=True)
        name = str(ended.payload["name"])
        if format != "merged":
            shutil.copyfile(stored, out / name)
            return out / name
        with zipfile.ZipFile(stored) as archive:
            archive.extractall(out)
        return out / name.removesuffix(".zip")


def import_project(settings: Settings, db: Database, file: Path) -> str:
    """Make a project of an archive; returns its id. Raises Invalid, Refused."""
    if not file.is_file():
        raise Invalid(f"There is no file {file}; give the path of an exported project.")
    with _worker(settings, db) as worker:
        stored = worker.bench.files.put(new_key(".zip"), chunks(file))
        ended = _run(worker, project_imports.create(db, stored, file.stem[:80]))
        return str(ended.payload["project_id"])


@contextmanager
def _worker(settings: Settings, db: Database) -> Iterator[Worker]:
    jobs.expire_leases(db)  # who runs this holds the data folder: no worker of before is alive
    worker = make_worker(settings, db)
    with worker.alive():
        yield worker


def _run(worker: Worker, queued: Job) -> Job:
    """Run the jobs of this kind until this one has ended; Refused unless it went well."""
    db = worker.bench.db
    while job := jobs.claim(db, worker.bench.worker_id, [queued.kind]):
        worker.run(job)
    ended = jobs.get(db, queued.id)
    if ended.state != "succeeded":
        raise Refused(ended.error_detail or "It was stopped; try again.", ended.error_code)
    return ended
