"""Versions: the tree of published LoRAs, which one is live, and the files to take away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse

from loop_studio.errors import NotFound
from loop_studio.shares import Share
from loop_studio.storage import pairs, projects, schema, versions
from loop_studio.storage.database import Database
from loop_studio.ui.routes.raters import Interval, interval
from loop_studio.ui.wire import Answer, Db, Files, Id, Nothing, Time, slug

router = APIRouter(tags=["versions"])


class Version(Answer):
    """A published LoRA; number 0 is the untouched base.

    `win_rate`: in blind pairs against its parent. `awaits_pairs`: it goes live once they prefer it.
    """

    id: str
    number: int
    parent_id: str | None
    update_id: str | None
    live: bool
    name: str | None
    created_at: Time
    metrics: dict[str, Any]
    win_rate: Interval | None
    awaits_pairs: bool


class VersionList(Answer):
    """Versions, oldest first."""

    versions: list[Version]


@router.get("/projects/{id}/versions")
def list_versions(db: Db, id: Id) -> VersionList:
    """Every version of a project. `metrics.none_share` is up to date with the ratings."""
    return VersionList(versions=_answers(db, id, versions.list(db, id)))


@router.post("/versions/{id}/activate")
def activate(db: Db, id: Id, nothing: Nothing) -> Version:
    """Make a version live: the next group is made by it."""
    version = versions.activate(db, id)
    [answer] = _answers(db, version.project_id, [version])
    return answer


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


def _answers(db: Database, project_id: str, rows: Sequence[schema.Version]) -> list[Version]:
    live = projects.get(db, project_id).live_version_id
    none_shares = versions.none_shares(db, project_id)
    win_rates = pairs.win_rates(db, project_id)
    return [
        Version(
            id=row.id,
            number=row.number,
            parent_id=row.parent_id,
            update_id=row.update_id,
            live=row.id == live,
            name=row.name,
            created_at=row.created_at,
            metrics=row.metrics
            | ({"none_share": none_shares[row.id]} if row.id in none_shares else {}),
            win_rate=interval(win_rates.get(row.id, Share(0, 0))),
            awaits_pairs=row.awaits_pairs,
        )
        for row in rows
    ]


def file_name(project: str, number: int) -> str:
    """What a version's file is called."""
    return f"{slug(project)}-v{number}.safetensors"


def _lora_name(db: Database, version_id: str, format: str) -> str:
    if format == "diffusers":
        return "pytorch_lora_weights.safetensors"
    version = versions.get(db, version_id)
    return file_name(projects.get(db, version.project_id).name, version.number)
