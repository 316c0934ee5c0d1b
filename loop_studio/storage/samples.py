"""Samples: images for looking and measuring. No group, no rating, no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.config import SECTIONS, ProjectConfig
from loop_studio.errors import Invalid, NotFound
from loop_studio.storage.database import Database, found
from loop_studio.storage.groups import NewImage, image_row
from loop_studio.storage.projects import revision_of
from loop_studio.storage.prompts import check
from loop_studio.storage.schema import Image, Job, Project, Prompt, Samples, Version

MOST_IMAGES = 256
PROBE_PROMPTS = 16
PROBE_SEEDS = (1, 2)
PRIORITY = {"request": 2, "probe": -1}


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


def create_probe(session: Session, version: Version) -> Samples | None:
    """Queue a version's probe wall, once: the project's first prompts with two fixed seeds.

    Version 0 gets its wall first, and every later version that wall's prompts and settings, so
    that walls stand side by side. None while the project has no prompts.
    """
    project = found(session, Project, version.project_id, lock=True)
    first = _first_probe(session, project.id)
    if first is None:
        listed = select(Prompt.text).where(Prompt.project_id == project.id, Prompt.active)
        prompts = session.scalars(listed.order_by(Prompt.position).limit(PROBE_PROMPTS)).all()
        if not prompts:
            return None
        base = _version(session, project, 0)
        first = _queue(session, _row(project, base, "probe", prompts, PROBE_SEEDS))
    known = _probe(session, version.id)
    if known is not None:
        return known
    wall = _row(project, version, "probe", first.prompts, PROBE_SEEDS)
    wall.revision_id = first.revision_id
    return _queue(session, wall)


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
    """Record finished images; a position that is filled stays as it is."""
    with db.write() as session:
        row = found(session, Samples, samples_id, lock=True)
        filled = {image.position for image in _images(session, samples_id)}
        cells = list(product(row.prompts, row.seeds["seeds"]))
        session.add_all(
            image_row(image, cells[image.position][0], samples_id=samples_id)
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
    job = Job(kind="samples", project_id=row.project_id, payload={"samples_id": row.id})
    job.priority = PRIORITY[row.kind]
    session.add(job)
    return row


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
    allowed = [name for name in SECTIONS["Generation"] if name != "group_size"]
    for name in settings:
        if name not in allowed:
            raise Invalid(f"Samples take the settings {', '.join(allowed)}; not {name!r}.")
    config.merged(settings)


def _version(session: Session, project: Project, number: int | None) -> Version:
    if number is None:
        return found(session, Version, project.live_version_id or "")
    wanted = select(Version).where(Version.project_id == project.id, Version.number == number)
    version = session.scalars(wanted).one_or_none()
    if version is None:
        raise NotFound(f"There is no version {number} in this project.")
    return version


def _probe(session: Session, version_id: str) -> Samples | None:
    wanted = select(Samples).where(Samples.version_id == version_id, Samples.kind == "probe")
    return session.scalars(wanted.order_by(Samples.created_at.desc())).first()


def _first_probe(session: Session, project_id: str) -> Samples | None:
    wanted = select(Samples).where(Samples.project_id == project_id, Samples.kind == "probe")
    return session.scalars(wanted.order_by(Samples.created_at)).first()


def _images(session: Session, samples_id: str) -> list[Image]:
    wanted = select(Image).where(Image.samples_id == samples_id).order_by(Image.position)
    return list(session.scalars(wanted))
