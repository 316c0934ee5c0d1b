"""Projects: a model, prompts and settings; and what a project is doing now."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from loop_studio.config import ProjectConfig
from loop_studio.settings import STARTER
from loop_studio.starter.prompts import STARTER_PROMPTS
from loop_studio.storage import jobs, projects, schema, status
from loop_studio.storage.database import Database
from loop_studio.storage.prompts import MOST
from loop_studio.ui.model_check import check_model, check_prompts, is_on_hub
from loop_studio.ui.wire import Answer, Body, Configured, Db, Id, Text, Time, WorkerReport

router = APIRouter(tags=["projects"])

Name = Annotated[Text, Field(min_length=1, max_length=200)]
Prompts = Annotated[list[Text], Field(max_length=MOST)]


class NewProject(Body):
    """What a project starts with; what is left out takes the studio's defaults."""

    name: Name
    model: Annotated[Text, Field(min_length=1, max_length=1000)] | None = None
    prompts: Prompts | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class ProjectChange(Body):
    """What shall be different; `settings` are merged with those in force."""

    name: Name | None = None
    archived: bool | None = None
    settings: dict[str, Any] | None = None
    guidelines: Annotated[Text, Field(max_length=20_000)] | None = None


class Project(Answer):
    """A project as everyone sees it."""

    id: str
    name: str
    model: str
    archived: bool
    settings: dict[str, Any]
    guidelines: str
    created_at: Time


class ProjectList(Answer):
    """Every project, the starter first."""

    projects: list[Project]


class ProjectStatus(Answer):
    """What a project is doing, and what stands between it and the next update."""

    project_id: str
    live_version: int
    ready_groups: int
    generating_groups: int
    next_group_eta_s: float | None
    generation: Literal["running", "idle", "paused"]
    generation_reason: str
    ratings: int
    rated_groups: int
    usable_groups: int
    min_groups: int
    auto_update_groups: int | None
    active_update_id: str | None
    can_update: bool
    can_update_reason: str
    worker: WorkerReport


@router.get("/projects")
def list_projects(db: Db) -> ProjectList:
    """Every project."""
    return ProjectList(projects=[_answer(db, project) for project in projects.all(db)])


@router.post("/projects", status_code=201)
def create_project(db: Db, settings: Configured, new: NewProject) -> Project:
    """Make a project; a hub model is checked by the worker afterwards."""
    model = new.model or settings.model
    check_model(model)
    ProjectConfig.from_values(new.settings)
    texts = new.prompts if new.prompts is not None else _default_prompts(model)
    prompts = check_prompts(texts, model)
    project = projects.create(db, new.name, model, prompts, new.settings)
    if is_on_hub(model):
        jobs.enqueue(db, "check_model", project.id, {"model": model}, priority=20)
    return _answer(db, project)


@router.get("/projects/{id}")
def get_project(db: Db, id: Id) -> Project:
    """One project."""
    return _answer(db, projects.get(db, id))


@router.patch("/projects/{id}")
def change_project(db: Db, id: Id, change: ProjectChange) -> Project:
    """Rename, archive, or change settings; a change of generation retires unjudged groups."""
    return _answer(db, projects.change(db, id, **change.model_dump()))


@router.get("/projects/{id}/status")
def project_status(db: Db, id: Id) -> ProjectStatus:
    """What the project is doing now."""
    return ProjectStatus.model_validate(status.status(db, id))


def _default_prompts(model: str) -> tuple[str, ...]:
    return STARTER_PROMPTS if model == STARTER else ()


def _answer(db: Database, project: schema.Project) -> Project:
    values = projects.config(db, project.id).values()
    return Project(
        id=project.id,
        name=project.name,
        model=project.model,
        archived=project.archived,
        settings=values,
        guidelines=project.guidelines,
        created_at=project.created_at,
    )
