"""Projects as wholes: at a glance, from a preset, cloned, started over, deleted, brought in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from loop_studio.errors import StudioError
from loop_studio.presets import PRESETS
from loop_studio.starter.prompts import STARTER_PROMPTS
from loop_studio.storage import lifecycle, overview, project_imports, projects, schema
from loop_studio.storage.files import FileStore
from loop_studio.storage.roles import Principal
from loop_studio.ui import uploads
from loop_studio.ui.failures import UpdateError, failure
from loop_studio.ui.problems import Problem
from loop_studio.ui.routes.imports import BODY
from loop_studio.ui.routes.projects import Name, Project, answer, shown_model
from loop_studio.ui.routes.updates import State
from loop_studio.ui.who import Who
from loop_studio.ui.wire import Answer, Body, Db, Files, Id, Nothing, Text, Time

router = APIRouter(tags=["projects"])


class Glance(Answer):
    """A project in figures; `size` is bytes on disk, `images` are a few of its pictures."""

    id: str
    name: str
    model: str
    archived: bool
    ratings: int
    raters: int
    versions: int
    live_version: int
    size: int
    images: list[str]
    created_at: Time
    rated_at: Time | None


class Overview(Answer):
    """Every project, the starter first."""

    projects: list[Glance]


class Choice(Answer):
    """A setting of a preset, and why."""

    setting: str
    value: Any
    reason: str


class Preset(Answer):
    """What a new project may start from."""

    name: str
    title: str
    description: str
    model: str
    memory_gb: int | None
    estimate_gb: float | None
    choices: list[Choice]
    settings: dict[str, Any]
    prompts: list[str]


class PresetList(Answer):
    """Presets, the simplest first."""

    presets: list[Preset]


class NewName(Body):
    """What the new project is called."""

    name: Name


class Deletion(Body):
    """The project's name, typed to confirm."""

    name: Text


class ProjectImport(Answer):
    """An import of a whole project, and the project it made."""

    id: str
    name: str
    status: State
    phase: str
    step: int
    steps: int
    project_id: str | None
    error: UpdateError | None
    created_at: Time
    finished_at: Time | None


class ProjectImportList(Answer):
    """Imports of whole projects, oldest first."""

    imports: list[ProjectImport]


@router.get("/overview")
def get_overview(db: Db, who: Who) -> Overview:
    """Every project with what it holds."""
    listed = overview.all(db, projects.all(db))
    return Overview(projects=[_glance(glance, who) for glance in listed])


@router.get("/projects/{id}/overview")
def get_glance(db: Db, who: Who, id: Id) -> Glance:
    """One project with what it holds."""
    return _glance(overview.glance(db, id), who)


@router.get("/presets")
def list_presets() -> PresetList:
    """What a new project may start from, with the settings' reasons."""
    return PresetList(
        presets=[
            Preset(
                name=preset.name,
                title=preset.title,
                description=preset.description,
                model=preset.model,
                memory_gb=preset.memory_gb,
                estimate_gb=preset.estimate_gb,
                choices=[Choice.model_validate(choice) for choice in preset.choices],
                settings=preset.settings,
                prompts=list(STARTER_PROMPTS if preset.prompts is None else preset.prompts),
            )
            for preset in PRESETS
        ]
    )


@router.post("/projects/{id}/clone", status_code=201)
def clone_project(db: Db, who: Who, id: Id, new: NewName) -> Project:
    """A new project with this one's model, prompts, settings and guidelines; no ratings."""
    return answer(db, lifecycle.clone(db, id, new.name), who)


@router.post("/projects/{id}/start-over")
def start_over(db: Db, who: Who, id: Id, nothing: Nothing) -> Project:
    """Version 0 is live again and what waits is retired; versions and ratings stay."""
    return answer(db, lifecycle.start_over(db, id), who)


@router.delete("/projects/{id}", status_code=204)
def delete_project(
    db: Db, files: Files, id: Id, deletion: Deletion, after: BackgroundTasks
) -> Response:
    """Delete a project with everything that is its own; its name confirms it."""
    keys = lifecycle.delete(db, id, deletion.name)
    after.add_task(_let_go, files, keys)
    return Response(status_code=204, background=after)


@router.post(
    "/project-imports",
    status_code=202,
    openapi_extra=BODY,
    responses={413: {"model": Problem, "description": "The file is too large"}},
)
async def import_project(
    request: Request,
    db: Db,
    files: Files,
    name: Annotated[
        Text, Query(min_length=1, max_length=80, description="what the file is called")
    ] = "project",
) -> ProjectImport:
    """Send the zip of an exported project; the worker makes a new project of it."""
    stored = await uploads.receive(
        request,
        files,
        suffix=".zip",
        largest=project_imports.LARGEST,
        too_large=project_imports.TOO_LARGE,
    )
    try:
        return _import(await run_in_threadpool(project_imports.create, db, stored, name))
    except StudioError:
        files.delete(stored.key)
        raise


@router.get("/project-imports")
def list_project_imports(db: Db) -> ProjectImportList:
    """The imports of whole projects of the last day."""
    return ProjectImportList(imports=[_import(job) for job in project_imports.recent(db)])


@router.get("/project-imports/{id}")
def get_project_import(db: Db, id: Id) -> ProjectImport:
    """One import of a whole project."""
    return _import(project_imports.get(db, id))


def _glance(found: overview.Glance, who: Principal) -> Glance:
    told = Glance.model_validate(found)
    told.model = shown_model(told.model, who)
    return told


def _let_go(files: FileStore, keys: list[str]) -> None:
    for key in keys:
        files.delete(key)


def _import(job: schema.Job) -> ProjectImport:
    return ProjectImport(
        id=job.id,
        name=job.payload["name"],
        status=job.state,
        phase=job.phase,
        step=job.step,
        steps=job.steps,
        project_id=job.payload.get("project_id"),
        error=failure(job.error_code, job.error_detail),
        created_at=job.created_at,
        finished_at=job.finished_at,
    )
