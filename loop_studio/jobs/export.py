"""Job `export`: a version as one zip with its card, as a merged pipeline, or a project whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from loop_studio.config import ProjectConfig
from loop_studio.content import is_blurred
from loop_studio.diffusion.merging import merged
from loop_studio.diffusion.recipe import sampler_of
from loop_studio.exchange import model_card, project_archive
from loop_studio.exchange.names import slug
from loop_studio.exchange.streams import zipped
from loop_studio.jobs import sample_grid, samples
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.pieces import chunks
from loop_studio.jobs.sample_grid import Grid
from loop_studio.storage import card_facts, exports, projects, versions
from loop_studio.storage import samples as stored_samples
from loop_studio.storage.files import new_key
from loop_studio.storage.schema import Image, Job, Project, Version

Entries = Iterable[tuple[str, Iterable[bytes]]]


def run(bench: Bench, job: Job) -> None:
    """Make the file, then name it; one that is stopped or fails half-way leaves none."""
    assert job.project_id is not None
    project = projects.get(bench.db, job.project_id)
    if job.payload["format"] == "project":
        _store(bench, job, _whole_project(bench, job), f"{slug(project.name)}-project")
        return
    version = versions.get(bench.db, job.payload["version_id"])
    name = f"{slug(project.name)}-v{version.number}"
    if job.payload["format"] == "zip":
        _store(bench, job, _lora_files(bench, job, project, version, name), name)
    else:
        _merged(bench, job, project, version, f"{name}-merged")


def _store(bench: Bench, job: Job, entries: Entries, name: str) -> None:
    file = bench.files.put(new_key(".zip"), zipped(entries))
    exports.publish(bench.db, job, file, f"{name}.zip")


def _whole_project(bench: Bench, job: Job) -> Entries:
    def done(step: int, steps: int) -> None:
        bench.between(job, "writing", step, steps)

    return project_archive.entries(bench.db, bench.files, job.project_id or "", done)


def _lora_files(bench: Bench, job: Job, project: Project, version: Version, name: str) -> Entries:
    """Both LoRA files, the card, and its pictures."""
    grid = _grid(bench, job, project, version)
    facts = card_facts.gather(bench.db, version.id)
    acting = sampler_of(facts.config).lora_steps
    kohya = f"{name}.safetensors"
    card = model_card.lora_card(facts, acting, kohya, grid.prompts if grid else [])
    bench.between(job, "writing", 1, 1)
    yield "README.md", [card.encode()]
    if grid is not None:
        yield model_card.GRID, [grid.png]
    for kind, called in (("diffusers", model_card.LORA), ("kohya", kohya)):
        stored = versions.file(bench.db, version.id, kind)
        yield called, bench.files.pieces(stored.key, stored.sha256)


def _grid(bench: Bench, job: Job, project: Project, version: Version) -> Grid | None:
    """Before and after on the probe prompts; what is missing of the probe walls is made first."""
    base = versions.by_number(bench.db, project.id, 0)
    walls: list[Sequence[Image]] = []
    rule = projects.config(bench.db, project.id).content
    for one in (base, version):
        known = stored_samples.probe(bench.db, one.id)
        if known is None:  # the project had no prompts when the version was made
            return None
        samples.complete(bench, job, known[0].id)
        images = stored_samples.get(bench.db, known[0].id)[1]
        walls.append([image for image in images if _is_shown(image, rule)])
    before, after = walls
    titles = ("Version 0", f"Version {version.number}")
    return sample_grid.draw(bench.files, before, after, titles)


def _is_shown(image: Image, rule: str) -> bool:
    return image.withheld is None and not is_blurred(rule, image.sensitive)


def _merged(bench: Bench, job: Job, project: Project, version: Version, name: str) -> None:
    """A pipeline folder that loads with `from_pretrained`, zipped."""
    facts = card_facts.gather(bench.db, version.id)
    bench.between(job, "merging", 0, 2)
    stored = versions.file(bench.db, version.id, "diffusers")
    deque(bench.files.pieces(stored.key, stored.sha256), maxlen=0)  # it is what was published
    lora = bench.files.path(stored.key)
    pipeline = merged(bench.models.folder(project), lora, _dtype(facts.config))
    with bench.files.scratch_folder() as folder:
        pipeline.save_pretrained(folder, safe_serialization=True)
        card = model_card.merged_card(facts, sampler_of(facts.config).lora_steps)
        (folder / "README.md").write_text(card, encoding="utf-8")
        bench.between(job, "writing", 1, 2)
        _store(bench, job, _below(bench, job, folder, name), name)


def _below(bench: Bench, job: Job, folder: Path, name: str) -> Entries:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for step, path in enumerate(paths):
        bench.between(job, "writing", step, len(paths))
        yield f"{name}/{path.relative_to(folder).as_posix()}", chunks(path)


def _dtype(config: ProjectConfig) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, config.precision)
    return dtype
