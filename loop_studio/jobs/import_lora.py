"""Job `import_lora`: a file from elsewhere becomes a version that updates can continue from."""

from __future__ import annotations

from loop_studio.diffusion.lora_import import read_lora
from loop_studio.jobs import version_files
from loop_studio.jobs.bench import Bench
from loop_studio.storage import imports, projects, versions
from loop_studio.storage.schema import Job


def run(bench: Bench, job: Job) -> None:
    """Read the file for the project's model and publish it. What was sent, housekeeping removes."""
    assert job.project_id is not None
    bench.between(job, "reading", 0, 1)
    project = projects.get(bench.db, job.project_id)
    config = projects.config(bench.db, project.id)
    live = versions.live(bench.db, project.id)
    policy = bench.models.ready(project, config, "live", live)
    checkpoint = read_lora(bench.files.path(job.payload["key"]), policy.unet)
    facts = {"loop.imported_sha256": job.payload["sha256"]}
    name = f"{project.name}-{job.payload['name']}"
    files = version_files.write(bench.files, checkpoint, config, name, facts)
    imports.publish(bench.db, job, files)
