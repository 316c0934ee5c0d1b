"""Samples: pictures for looking and measuring. No group, no rating, no training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from loop_studio.content import Withheld, is_blurred
from loop_studio.errors import Conflict, NotFound
from loop_studio.storage import projects, samples, schema, versions
from loop_studio.storage.database import Database
from loop_studio.ui.model_check import check_prompts
from loop_studio.ui.routes.updates import State
from loop_studio.ui.wire import Answer, Body, Db, Id, Nothing, Text, image_url

router = APIRouter(tags=["samples"])

LARGEST_SEED = 2**53 - 1  # the largest whole number that every JSON reader keeps

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class NewSamples(Body):
    """Every prompt is sampled with every seed, at most 256 images in all."""

    prompts: Annotated[list[Text], Field(min_length=1, max_length=samples.MOST_IMAGES)]
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=samples.MOST_IMAGES)]
    version: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    settings: dict[str, Any] | None = None


class SamplesTicket(Answer):
    """Where to look for samples that were asked for."""

    id: str
    status: State


class NewTicket(SamplesTicket):
    """Samples just asked for, and the words of their prompts that the model never saw."""

    unknown_words: list[str]


class SampleImage(Answer):
    """A finished picture."""

    prompt: str
    seed: int
    version: int
    id: str
    url: str
    blurred: bool
    withheld: Withheld | None


class Samples(SamplesTicket):
    """Samples and the pictures that are finished; `eta_s` is null while they wait."""

    images: list[SampleImage]
    total: int
    eta_s: float | None


@router.post("/projects/{id}/samples", status_code=202)
def ask_for_samples(db: Db, id: Id, new: NewSamples) -> NewTicket:
    """Queue samples of a version, the live one if none is named.

    `settings` may change how pictures are generated, and `adapter_weight`, 0 to 1.5, how much the
    version's LoRA counts.
    """
    checked = check_prompts(new.prompts, projects.get(db, id).model)
    texts = [text for text, _ in checked]
    made = samples.create(db, id, texts, new.seeds, new.version, new.settings or {})
    words = list(dict.fromkeys(word for _, unknown in checked for word in unknown))
    return NewTicket(id=made.id, status=made.status, unknown_words=words)


@router.get("/samples/{id}")
def get_samples(request: Request, db: Db, id: Id) -> Samples:
    """Samples and the pictures that are finished."""
    return _answer(request, db, *samples.get(db, id))


@router.get("/versions/{id}/probe")
def get_probe(request: Request, db: Db, id: Id) -> Samples:
    """A version's probe wall: the same prompts and seeds for every version of a project."""
    version = versions.get(db, id)
    wall = samples.probe(db, id)
    if wall is None:
        raise NotFound(f"Version {version.number} has no probe pictures yet.", "no_probe")
    return _answer(request, db, *wall)


@router.post("/versions/{id}/probe", status_code=202)
def ask_for_probe(request: Request, db: Db, id: Id, nothing: Nothing) -> Samples:
    """Make a version's probe pictures now: where they were never asked for, wait, or failed."""
    if samples.ask_for_probe(db, id) is None:
        raise Conflict("The project has no prompts; add some in the settings.", "no_prompts")
    return get_probe(request, db, id)


def _answer(
    request: Request, db: Database, row: schema.Samples, images: Sequence[schema.Image]
) -> Samples:
    number = versions.get(db, row.version_id).number
    rule = projects.config(db, row.project_id).content
    pictures = [
        {
            "prompt": image.prompt,
            "seed": image.seed,
            "version": number,
            "id": image.id,
            "url": image_url(request, image.id),
            "blurred": is_blurred(rule, image.sensitive),
            "withheld": image.withheld,
        }
        for image in images
    ]
    progress = samples.progress(db, row)
    return Samples.model_validate(
        {
            "id": row.id,
            "status": row.status,
            "images": pictures,
            "total": progress.total,
            "eta_s": progress.eta_s,
        }
    )
