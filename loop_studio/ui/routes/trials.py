"""Trials: any picture, or a group, scored by several rewards side by side."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from loop_studio.errors import Invalid, StudioError
from loop_studio.storage import projects, schema, scoring, trials
from loop_studio.storage.database import Database
from loop_studio.ui import uploads
from loop_studio.ui.bodies import FILE
from loop_studio.ui.failures import UpdateError, failure
from loop_studio.ui.pictures import check_picture
from loop_studio.ui.problems import Problem
from loop_studio.ui.routes.rewards import known_model
from loop_studio.ui.routes.updates import State
from loop_studio.ui.wire import Answer, Body, Db, Files, Id, Text, image_url

router = APIRouter(tags=["rewards"])

MOST_MODELS = 32
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {FILE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class NewTrial(Body):
    """A group of the project, and the rewards to try; left out, those that count now."""

    group_id: Text
    models: Annotated[list[Text], Field(max_length=MOST_MODELS)] = Field(default_factory=list)


class TrialImage(Answer):
    """A picture of a trial; `url` where it is one of the studio's own."""

    prompt: str
    id: str | None
    url: str | None


class TrialResult(Answer):
    """What one reward gives the pictures, in their order, or why it gives nothing."""

    name: str
    scores: list[float] | None
    version: str | None
    error: str | None


class Trial(Answer):
    """A trial, and the rewards that have answered so far."""

    id: str
    status: State
    step: int
    steps: int
    images: list[TrialImage]
    results: list[TrialResult]
    error: UpdateError | None


class TriableGroup(Answer):
    """A group that scores may be shown of: it was judged, learned from or retired."""

    id: str
    images: list[TrialImage]


class TriableGroups(Answer):
    """Groups to try rewards on, newest first."""

    groups: list[TriableGroup]


@router.get("/projects/{id}/trials/groups")
def list_triable_groups(
    request: Request, db: Db, id: Id, limit: Annotated[int, Query(ge=1, le=100)] = 12
) -> TriableGroups:
    """The newest groups that somebody judged, that taught, or that are retired."""
    groups = scoring.presentable(db, id, limit, projects.config(db, id).content)
    return TriableGroups(
        groups=[
            TriableGroup(
                id=group.id,
                images=[_image(request, image.prompt, image.id) for image in images],
            )
            for group, images in groups
        ]
    )


@router.post("/projects/{id}/trials", status_code=202)
def try_group(request: Request, db: Db, id: Id, new: NewTrial) -> Trial:
    """Score a group by rewards side by side."""
    projects.get(db, id)
    images = trials.images_of(db, id, new.group_id)
    return _answer(request, trials.create(db, id, images, _models(db, id, new.models)))


@router.post(
    "/projects/{id}/trials/picture",
    status_code=202,
    openapi_extra=_BODY,
    responses={413: {"model": Problem, "description": "The file is too large"}},
)
async def try_picture(
    request: Request,
    db: Db,
    files: Files,
    id: Id,
    prompt: Annotated[Text, Query(max_length=1000, description="what it is held against")] = "",
    model: Annotated[list[Text], Query(max_length=MOST_MODELS)] = [],  # noqa: B006 - FastAPI copies
) -> Trial:
    """Send a PNG, JPEG or WebP of at most 20 MiB and score it by rewards side by side."""
    await run_in_threadpool(projects.get, db, id)
    models = await run_in_threadpool(_models, db, id, model)
    stored = await uploads.receive(
        request, files, suffix=".image", largest=trials.LARGEST, too_large=trials.TOO_LARGE
    )
    try:
        await run_in_threadpool(check_picture, files.path(stored.key))
        picture = trials.TrialImage(stored.key, prompt)
        return _answer(request, await run_in_threadpool(trials.create, db, id, [picture], models))
    except StudioError:
        files.delete(stored.key)
        raise


@router.get("/trials/{id}")
def get_trial(request: Request, db: Db, id: Id) -> Trial:
    """A trial, and what has been said so far."""
    return _answer(request, trials.get(db, id))


def _models(db: Database, project_id: str, names: list[str]) -> dict[str, dict[str, str]]:
    """The rewards to try, with the project's parameters; Invalid where there is none."""
    reward = projects.reward(db, project_id)
    wanted = names or [name for name, weight in reward.models.items() if weight > 0]
    if not wanted:
        raise Invalid("Name at least one reward to try; GET rewards lists them.")
    return {known_model(name).name: reward.parameters.get(name, {}) for name in wanted}


def _answer(request: Request, job: schema.Job) -> Trial:
    results: dict[str, dict[str, Any]] = job.payload["results"]
    return Trial(
        id=job.id,
        status=job.state,
        step=len(results),
        steps=len(job.payload["models"]),
        images=[
            _image(request, image["prompt"], image["image_id"]) for image in job.payload["images"]
        ],
        results=[
            TrialResult(name=name, **results[name])
            for name in job.payload["models"]
            if name in results
        ],
        error=failure(job.error_code, job.error_detail),
    )


def _image(request: Request, prompt: str, image_id: str | None) -> TrialImage:
    url = None if image_id is None else image_url(request, image_id)
    return TrialImage(prompt=prompt, id=image_id, url=url)
