"""Projects: a model, prompts and settings; and what a project is doing now."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from loop_studio import model_folder
from loop_studio.config import ProjectConfig
from loop_studio.errors import Forbidden
from loop_studio.settings import STARTER
from loop_studio.starter.prompts import STARTER_PROMPTS
from loop_studio.storage import consent as agreed
from loop_studio.storage import jobs, projects, schema, status
from loop_studio.storage.database import Database
from loop_studio.storage.prompts import MOST
from loop_studio.storage.roles import Principal
from loop_studio.ui.model_check import (
    check_content,
    check_model,
    check_prompts,
    content_note,
    is_on_hub,
)
from loop_studio.ui.routes.rewards import Weights, checked
from loop_studio.ui.who import Who
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
    reward: Weights | None = Field(None, description="who judges; people if left out")


class ProjectChange(Body):
    """What shall be different; `settings` are merged with those in force."""

    name: Name | None = None
    archived: bool | None = None
    settings: dict[str, Any] | None = None
    guidelines: Annotated[Text, Field(max_length=20_000)] | None = None
    consent: Annotated[Text, Field(max_length=agreed.LONGEST_TEXT)] | None = Field(
        None, description="what raters agree to before they judge; empty asks nobody"
    )


class Project(Answer):
    """A project as everyone sees it."""

    id: str
    name: str
    model: str
    model_revision: str | None = Field(
        description="of a hub id, the commit that the project began with and stays with"
    )
    archived: bool
    settings: dict[str, Any]
    guidelines: str
    consent: str
    content_note: str = Field(description="what can be done about sensitive pictures here")
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
    open_reports: int
    worker: WorkerReport


@router.get("/projects")
def list_projects(db: Db, who: Who) -> ProjectList:
    """Every project; to a guest the one of their link."""
    shown = [one for one in projects.all(db) if who.project_id in {None, one.id}]
    return ProjectList(projects=[answer(db, project, who) for project in shown])


@router.post("/projects", status_code=201)
def create_project(db: Db, who: Who, settings: Configured, new: NewProject) -> Project:
    """Make a project; a hub model is checked by the worker afterwards."""
    model = new.model or settings.model
    if model != settings.model and model_folder.is_path(model) and not who.is_administrator:
        raise Forbidden(
            "Give starter or a hub id such as owner/name; only an administrator may name a folder "
            "of the studio's machine."
        )
    check_model(model)
    check_content(model, ProjectConfig.from_values(new.settings).content)
    texts = new.prompts if new.prompts is not None else _default_prompts(model)
    prompts = check_prompts(texts, model)
    weights = None if new.reward is None else checked(settings, new.reward, {})
    project = projects.create(db, new.name, model, prompts, new.settings, weights)
    if is_on_hub(model):
        jobs.enqueue(db, "check_model", project.id, {"model": model}, priority=20)
    return answer(db, project, who)


@router.get("/projects/{id}")
def get_project(db: Db, who: Who, id: Id) -> Project:
    """One project."""
    return answer(db, projects.get(db, id), who)


@router.patch("/projects/{id}")
def change_project(db: Db, who: Who, id: Id, change: ProjectChange) -> Project:
    """Rename, archive, or change settings; a change of generation retires unjudged groups."""
    if (wanted := (change.settings or {}).get("content")) is not None:
        check_content(projects.get(db, id).model, wanted)
    project = projects.change(db, id, **change.model_dump(exclude={"consent"}))
    if change.consent is not None:
        agreed.set_text(db, id, change.consent)
    return answer(db, project, who)


@router.get("/projects/{id}/status")
def project_status(db: Db, who: Who, id: Id) -> ProjectStatus:
    """What the project is doing now; the worker's log is told to administrators."""
    told = ProjectStatus.model_validate(status.status(db, id))
    if not who.is_administrator:
        told.worker.last_words = None
    return told


def _default_prompts(model: str) -> tuple[str, ...]:
    return STARTER_PROMPTS if model == STARTER else ()


def answer(db: Database, project: schema.Project, who: Principal) -> Project:
    """A project as the wire tells it."""
    values = projects.config(db, project.id).values()
    return Project(
        id=project.id,
        name=project.name,
        model=shown_model(project.model, who),
        model_revision=project.model_revision,
        archived=project.archived,
        settings=values,
        guidelines=project.guidelines,
        consent=agreed.state(db, project.id).text,
        content_note=content_note(project.model),
        created_at=project.created_at,
    )


def shown_model(model: str, who: Principal) -> str:
    """A model's name; of a folder only its last part, but to administrators."""
    is_hidden = model_folder.is_path(model) and not who.is_administrator
    return PurePath(model).name if is_hidden else model
