"""Versions: the tree of published LoRAs, which one is live, and the files to take away."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse

from loop_studio.errors import NotFound
from loop_studio.storage import projects, schema, versions
from loop_studio.storage.database import Database
from loop_studio.ui.wire import Answer, Db, Files, Id, Nothing, Time, slug

router = APIRouter(tags=["versions"])


class Version(Answer):
    """A published LoRA; number 0 is the untouched base."""

    id: str
    number: int
    parent_id: str | None
    update_id: str | None
    live: bool
    name: str | None
    created_at: Time
    metrics: dict[str, Any]


class VersionList(Answer):
    """Versions, oldest first."""

    versions: list[Version]


@router.get("/projects/{id}/versions")
def list_versions(db: Db, id: Id) -> VersionList:
    """Every version of a project. `metrics.none_share` is up to date with the ratings."""
    live = projects.get(db, id).live_version_id
    shares = versions.none_shares(db, id)
    told = [_answer(one, live, shares.get(one.id)) for one in versions.list(db, id)]
    return VersionList(versions=told)


@router.post("/versions/{id}/activate")
def activate(db: Db, id: Id, nothing: Nothing) -> Version:
    """Make a version live: the next group is made by it."""
    version = versions.activate(db, id)
    shares = versions.none_shares(db, version.project_id)
    live = projects.get(db, version.project_id).live_version_id
    return _answer(version, live, shares.get(version.id))


@router.get(
    "/versions/{id}/lora",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def lora(
    db: Db, files: Files, id: Id, format: Literal["diffusers", "kohya"] = "diffusers"
) -> FileResponse:
    """The stored safetensors file, under the name that its readers look for."""
    path = files.path(versions.file(db, id, format).key)
    if not path.is_file():
        raise NotFound("The file of this version is gone from the data folder.", "file_gone")
    name = _lora_name(db, id, format)
    return FileResponse(path, media_type="application/octet-stream", filename=name)


def _answer(version: schema.Version, live: str | None, none_share: float | None) -> Version:
    said = {} if none_share is None else {"none_share": none_share}
    return Version(
        id=version.id,
        number=version.number,
        parent_id=version.parent_id,
        update_id=version.update_id,
        live=version.id == live,
        name=version.name,
        created_at=version.created_at,
        metrics=version.metrics | said,
    )


def file_name(project: str, number: int) -> str:
    """What a version's file is called."""
    return f"{slug(project)}-v{number}.safetensors"


def _lora_name(db: Database, version_id: str, format: str) -> str:
    if format == "diffusers":
        return "pytorch_lora_weights.safetensors"
    version = versions.get(db, version_id)
    return file_name(projects.get(db, version.project_id).name, version.number)
