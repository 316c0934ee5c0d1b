"""Imports: a LoRA file is taken in here, and the worker makes a version of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from loop_studio.errors import StudioError
from loop_studio.storage import imports, projects, schema
from loop_studio.ui import uploads
from loop_studio.ui.bodies import FILE
from loop_studio.ui.failures import UpdateError, failure
from loop_studio.ui.problems import Problem
from loop_studio.ui.routes.updates import State
from loop_studio.ui.wire import Answer, Db, Files, Id, Text, Time

router = APIRouter(tags=["versions"])

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {FILE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Import(Answer):
    """An import, and the version it made."""

    id: str
    name: str
    status: State
    version_id: str | None
    version: int | None
    error: UpdateError | None
    created_at: Time
    finished_at: Time | None


class ImportList(Answer):
    """Imports, oldest first."""

    imports: list[Import]


@router.post(
    "/projects/{id}/imports",
    status_code=202,
    openapi_extra=BODY,
    responses={413: {"model": Problem, "description": "The file is too large"}},
)
async def import_lora(
    request: Request,
    db: Db,
    files: Files,
    id: Id,
    name: Annotated[
        Text, Query(min_length=1, max_length=80, description="what the version is called")
    ] = "LoRA",
) -> Import:
    """Send a LoRA's .safetensors file, at most 1 GiB; its version is not live until activated."""
    await run_in_threadpool(projects.get, db, id)
    stored = await uploads.receive(
        request,
        files,
        suffix=".safetensors",
        largest=imports.LARGEST,
        too_large=imports.TOO_LARGE,
    )
    try:
        return _answer(await run_in_threadpool(imports.create, db, id, stored, name))
    except StudioError:
        files.delete(stored.key)
        raise


@router.get("/projects/{id}/imports")
def list_imports(db: Db, id: Id) -> ImportList:
    """Every import of a project."""
    return ImportList(imports=[_answer(job) for job in imports.list(db, id)])


@router.get("/imports/{id}")
def get_import(db: Db, id: Id) -> Import:
    """One import."""
    return _answer(imports.get(db, id))


def _answer(job: schema.Job) -> Import:
    return Import(
        id=job.id,
        name=job.payload["name"],
        status=job.state,
        version_id=job.payload.get("version_id"),
        version=job.payload.get("version"),
        error=failure(job.error_code, job.error_detail),
        created_at=job.created_at,
        finished_at=job.finished_at,
    )
