"""Samples: images for looking and measuring. No group, no rating, no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from loop_studio.config import SECTIONS, ProjectConfig
from loop_studio.errors import Invalid
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.groups import NewImage, image_row
from loop_studio.storage.projects import revision_of
from loop_studio.storage.prompts import check
from loop_studio.storage.schema import Image, Job, Project, Prompt, Samples, Version
from loop_studio.storage.tree import numbered, present

MOST_IMAGES = 256
PROBE_PROMPTS = 16
PROBE_SEEDS = (1, 2)
PRIORITY = {"request": 2, "probe": -1}
WEIGHT = "adapter_weight"
LARGEST_WEIGHT = 1.5  # of the LoRA; 1 as it was trained, 0 the base model


@dataclass(frozen=True)
class Progress:
    """How far the pictures of samples are."""

    done: int
    total: int
    eta_s: float | None  # None while they wait, and before the first ones are there


def create(
    db: Database,
    project_id: str,
    prompts: Sequence[str],
    seeds: Sequence[int],
    version_number: int | None,
    settings: Mapping[str, Any],
) -> Samples:
    """Queue every prompt with every seed under a version, the live one if none is named."""
    checked = [check(text) for text in prompts]
    _check_size(checked, seeds)
    with db.write() as session:
        project = found(session, Project, project_id)
        _check_settings(revision_of(session, project).config, settings)
        version = _version(session, project, version_number)
        return _queue(session, _row(project, version, "request", checked, seeds, settings))


def create_probe(
    session: Session, version: Version, pictures: Sequence[NewImage] = ()
) -> Samples | None:
    """Queue a version's probe wall, once: the project's first prompts with two fixed seeds.

    Version 0 gets its wall first, and every later version that wall's prompts and settings, so
    that walls stand side by side. `pictures` are those that the guard has made already. None while
    the project has no prompts.
    """
    project = found(session, Project, version.project_id, lock=True)
    first = _first_probe(session, project) or _queue_first_probe(session, project)
    if first is None:
        return None
    known = _probe(session, version.id)
    if known is not None:
        return known
    wall = _row(project, version, "probe", first.prompts, PROBE_SEEDS)
    wall.revision_id = first.revision_id
    _queue(session, wall)
    _add(session, wall, pictures)
    return wall


def base_probe(db: Database, project_id: str) -> Samples | None:
    """Version 0's probe wall, queued if it was not; None while the project has no prompts."""
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        return _first_probe(session, project) or _queue_first_probe(session, project)


def ask_for_probe(db: Database, version_id: str) -> Samples | None:
    """A version's probe wall, asked for by someone who waits: made now, or again where it failed.

    None while the project has no prompts.
    """
    with db.write() as session:
        wall = create_probe(session, present(session, version_id))
        if wall is None:
            return None
        session.flush()
        if wall.status in {"failed", "cancelled"}:
            wall.status = "queued"
            _enqueue(session, wall, PRIORITY["request"])
        else:
            waiting = (*_jobs_of(wall), Job.state == "queued")
            changed(session, update(Job).where(*waiting).values(priority=PRIORITY["request"]))
        return wall


def progress(db: Database, row: Samples) -> Progress:
    """How far the pictures are, and how long the rest takes at the pace of the job."""
    total = len(row.prompts) * len(row.seeds["seeds"])
    with db.read() as session:
        count = select(func.count()).select_from(Image).where(Image.samples_id == row.id)
        done = session.scalar(count) or 0
        running = (*_jobs_of(row), Job.state == "running")
        job = session.scalars(select(Job).where(*running)).first()
    if job is None or not job.step or job.started_at is None or job.progress_at is None:
        return Progress(done, total, None)
    pace = (job.progress_at - job.started_at).total_seconds() / job.step
    return Progress(done, total, pace * (total - done))


def get(db: Database, samples_id: str) -> tuple[Samples, list[Image]]:
    """Samples and the images that are finished, in order."""
    with db.read() as session:
        return found(session, Samples, samples_id), _images(session, samples_id)


def probe(db: Database, version_id: str) -> tuple[Samples, list[Image]] | None:
    """A version's probe wall as far as it is rendered; None if it was never asked for."""
    with db.read() as session:
        row = _probe(session, version_id)
        return None if row is None else (row, _images(session, row.id))


def add_images(db: Database, samples_id: str, images: Sequence[NewImage]) -> None:
    """Record finished images; a position that is filled stays as it is.

    Raises NotFound when their version was deleted meanwhile.
    """
    with db.write() as session:
        row = found(session, Samples, samples_id, lock=True)
        present(session, row.version_id)
        _add(session, row, images)


def cells(row: Samples) -> list[tuple[str, int]]:
    """(prompt, seed) of every picture, in the order of their positions."""
    return list(product(row.prompts, row.seeds["seeds"]))


def _add(session: Session, row: Samples, images: Sequence[NewImage]) -> None:
    filled = {image.position for image in _images(session, row.id)}
    wanted = cells(row)
    rule = revision_of(session, found(session, Project, row.project_id)).config.content
    session.add_all(
        image_row(image, wanted[image.position][0], rule, samples_id=row.id)
        for image in images
        if image.position not in filled
    )


def _row(
    project: Project,
    version: Version,
    kind: str,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Samples:
    assert project.revision_id is not None
    return Samples(
        project_id=project.id,
        version_id=version.id,
        revision_id=project.revision_id,
        kind=kind,
        prompts=list(prompts),
        seeds={"seeds": list(seeds)},
        settings=dict(settings),
    )


def _queue(session: Session, row: Samples) -> Samples:
    session.add(row)
    session.flush()
    _enqueue(session, row, PRIORITY[row.kind])
    return row


def _enqueue(session: Session, row: Samples, priority: int) -> None:
    payload = {"samples_id": row.id}
    session.add(Job(kind="samples", project_id=row.project_id, payload=payload, priority=priority))


def _jobs_of(row: Samples) -> tuple[ColumnElement[bool], ...]:
    named = Job.payload["samples_id"].as_string() == row.id
    return Job.project_id == row.project_id, Job.kind == "samples", named


def _check_size(prompts: Sequence[str], seeds: Sequence[int]) -> None:
    if not prompts or not seeds:
        raise Invalid("Samples need at least one prompt and one seed.")
    if len(prompts) * len(seeds) > MOST_IMAGES:
        raise Invalid(
            f"prompts x seeds must be at most {MOST_IMAGES} images; "
            f"this asks for {len(prompts) * len(seeds)}."
        )
    if any(not 0 <= seed < 2**63 for seed in seeds):
        raise Invalid("seeds must be whole numbers of 0 or more, below 2^63.")


def _check_settings(config: ProjectConfig, settings: Mapping[str, Any]) -> None:
    allowed = [*(name for name in SECTIONS["Generation"] if name != "group_size"), WEIGHT]
    for name in settings:
        if name not in allowed:
            raise Invalid(f"Samples take the settings {', '.join(allowed)}; not {name!r}.")
    split_weight(config, settings)


def split_weight(config: ProjectConfig, settings: Mapping[str, Any]) -> tuple[ProjectConfig, float]:
    """The settings that samples are made with, and how much the LoRA counts in them.

    Raises Invalid for a value out of its range.
    """
    weight = settings.get(WEIGHT, 1.0)
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not is_number or not 0 <= weight <= LARGEST_WEIGHT:
        raise Invalid(f"{WEIGHT} must be a number from 0 to {LARGEST_WEIGHT}; it was {weight!r}.")
    rest = {name: value for name, value in settings.items() if name != WEIGHT}
    return config.merged(rest), float(weight)


def _version(session: Session, project: Project, number: int | None) -> Version:
    if number is None:
        return found(session, Version, project.live_version_id or "")
    return numbered(session, project.id, number)


def _probe(session: Session, version_id: str) -> Samples | None:
    wanted = select(Samples).where(Samples.version_id == version_id, Samples.kind == "probe")
    return session.scalars(wanted.order_by(Samples.created_at.desc())).first()


def _first_probe(session: Session, project: Project) -> Samples | None:
    wanted = select(Samples).where(Samples.project_id == project.id, Samples.kind == "probe")
    return session.scalars(wanted.order_by(Samples.created_at)).first()


def _queue_first_probe(session: Session, project: Project) -> Samples | None:
    listed = select(Prompt.text).where(Prompt.project_id == project.id, Prompt.active)
    prompts = session.scalars(listed.order_by(Prompt.position).limit(PROBE_PROMPTS)).all()
    if not prompts:
        return None
    base = _version(session, project, 0)
    return _queue(session, _row(project, base, "probe", prompts, PROBE_SEEDS))


def _images(session: Session, samples_id: str) -> list[Image]:
    wanted = select(Image).where(Image.samples_id == samples_id).order_by(Image.position)
    return list(session.scalars(wanted))
