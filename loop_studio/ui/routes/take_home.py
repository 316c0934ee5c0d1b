"""Exports: a version as a zip or merged, a project whole; made by the worker, fetched here."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import Field, SecretStr

from loop_studio.errors import Invalid, NotFound
from loop_studio.exchange import hub
from loop_studio.storage import exports, schema, versions
from loop_studio.ui.failures import UpdateError, failure
from loop_studio.ui.routes.updates import State
from loop_studio.ui.wire import Answer, Body, Configured, Db, Files, Id, Nothing, Text, Time

router = APIRouter(tags=["exports"])


class NewExport(Body):
    """`zip`: both LoRA files with a model card and pictures. `merged`: a whole pipeline."""

    format: Literal["zip", "merged"] = "zip"


class Push(Body):
    """Where to. The token is used once and never stored; without one the studio's own is used."""

    repository: Annotated[Text, Field(max_length=200, description="owner/name on the hub")]
    token: Annotated[SecretStr | None, Field(max_length=200)] = None
    private: bool = True


class Pushed(Answer):
    """Where it is now."""

    url: str


class Export(Answer):
    """An export, and the file that it made: `size` bytes, kept for a week."""

    id: str
    format: Literal["zip", "merged", "project"]
    version_id: str | None
    status: State
    phase: str
    step: int
    steps: int
    name: str | None
    size: int | None
    error: UpdateError | None
    created_at: Time
    finished_at: Time | None


class ExportList(Answer):
    """Exports, oldest first."""

    exports: list[Export]


@router.post("/versions/{id}/exports", status_code=202)
def export_version(db: Db, id: Id, wanted: NewExport) -> Export:
    """Have a version packed; one that is being packed already is given back."""
    version = versions.get(db, id)
    return _answer(exports.create(db, version.project_id, wanted.format, version.id))


@router.post("/projects/{id}/exports", status_code=202)
def export_project(db: Db, id: Id, nothing: Nothing) -> Export:
    """Have a whole project packed: rows, pictures, trajectories and versions."""
    return _answer(exports.create(db, id, "project"))


@router.get("/projects/{id}/exports")
def list_exports(db: Db, id: Id) -> ExportList:
    """Every export of a project and its versions."""
    return ExportList(exports=[_answer(job) for job in exports.list(db, id)])


@router.get("/exports/{id}")
def get_export(db: Db, id: Id) -> Export:
    """One export."""
    return _answer(exports.get(db, id))


@router.get(
    "/exports/{id}/file",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def export_file(db: Db, files: Files, id: Id) -> FileResponse:
    """The finished file."""
    job = exports.get(db, id)
    path = files.path(exports.file(job).key)
    if not path.is_file():
        raise NotFound("The file of this export is gone; make it again.", "file_gone")
    return FileResponse(path, media_type="application/zip", filename=job.payload["name"])


@router.post("/exports/{id}/push")
def push_export(db: Db, files: Files, settings: Configured, id: Id, push: Push) -> Pushed:
    """Send the content of a finished zip to a repository on the hub; made if there is none."""
    job = exports.get(db, id)
    if job.payload["format"] != "zip":
        raise Invalid("Only the zip of a version can be sent to the hub.")
    token = push.token.get_secret_value() if push.token else settings.hub_token
    if not token:
        raise Invalid("token must be given: the studio has none of its own (HF_TOKEN).")
    with files.open(exports.file(job).key) as file, files.scratch_folder() as folder:
        url = hub.push(file, folder, push.repository, token, private=push.private)
    return Pushed(url=url)


def _answer(job: schema.Job) -> Export:
    return Export(
        id=job.id,
        format=job.payload["format"],
        version_id=job.payload["version_id"],
        status=job.state,
        phase=job.phase,
        step=job.step,
        steps=job.steps,
        name=job.payload.get("name"),
        size=job.payload.get("file", {}).get("size"),
        error=failure(job.error_code, job.error_detail),
        created_at=job.created_at,
        finished_at=job.finished_at,
    )
