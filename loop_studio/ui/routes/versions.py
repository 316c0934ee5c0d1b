"""Versions: the tree of published LoRAs, which one is live, and the files to take away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import Field

from loop_studio.shares import Share
from loop_studio.storage import deleting, pairs, projects, schema, versions
from loop_studio.storage.database import Database
from loop_studio.ui.routes.raters import Interval, interval
from loop_studio.ui.wire import Answer, Body, Db, Files, Id, Nothing, Text, Time, slug

router = APIRouter(tags=["versions"])


class Version(Answer):
    """A published LoRA; number 0 is the untouched base.

    `win_rate`: in blind pairs against its parent. `awaits_pairs`: it goes live once they prefer it.
    `concerns`: what the guard found. `awaits_decision`: until someone decides about that.
    `pinned`: never deleted. `kept`: what it learned from is not let go: it can be made again.
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
    concerns: list[str]
    awaits_decision: bool
    note: str
    pinned: bool
    kept: bool


class VersionChange(Body):
    """What shall be different; an empty name takes the name away."""

    name: Annotated[Text, Field(max_length=versions.LONGEST_NAME)] | None = None
    note: Annotated[Text, Field(max_length=versions.LONGEST_NOTE)] | None = None
    pinned: bool | None = None
    kept: bool | None = None


class Freed(Answer):
    """What a deletion gave back to the disk."""

    freed_bytes: int


class Digest(Answer):
    """How to know a file again."""

    sha256: str
    size: int


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


@router.patch("/versions/{id}")
def change_version(db: Db, id: Id, change: VersionChange) -> Version:
    """Name a version, note something on it, pin it, or keep what it learned from."""
    version = versions.change(db, id, **change.model_dump())
    [answer] = _answers(db, version.project_id, [version])
    return answer


@router.delete("/versions/{id}")
def delete_version(db: Db, files: Files, id: Id, nothing: Nothing) -> Freed:
    """Delete a version with its files; never the base, the live one, or one that others need."""
    return Freed(freed_bytes=deleting.delete_version(db, files, id))


@router.get(
    "/versions/{id}/lora",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def lora(
    db: Db, files: Files, id: Id, format: Literal["diffusers", "kohya"] = "diffusers"
) -> FileResponse:
    """The stored safetensors file, under the name that its readers look for."""
    path = versions.whole_file(db, files, id, format)
    name = _lora_name(db, id, format)
    return FileResponse(path, media_type="application/octet-stream", filename=name)


@router.get("/versions/{id}/lora/digest")
def lora_digest(
    db: Db, files: Files, id: Id, format: Literal["diffusers", "kohya"] = "diffusers"
) -> Digest:
    """What the file is to be known by; refused when it is gone or not the one that was written."""
    versions.whole_file(db, files, id, format)
    return Digest.model_validate(versions.file(db, id, format))


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
            | ({"none_share": none_shares[row.id].value} if row.id in none_shares else {}),
            win_rate=interval(win_rates.get(row.id, Share(0, 0))),
            awaits_pairs=row.awaits_pairs,
            note=row.note,
            pinned=row.pinned,
            kept=row.kept,
            concerns=row.concerns,
            awaits_decision=row.awaits_decision,
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
