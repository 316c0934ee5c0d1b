"""Ratings to take away, in every format of `loop_studio.exchange.formats`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from loop_studio.exchange.formats import FORMATS, export
from loop_studio.storage import projects
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.ui.wire import Db, Files, Id, slug

router = APIRouter(tags=["ratings"])

Images = Annotated[bool, Query(description="with the pictures themselves")]


def _described(format: str) -> dict[str, Any]:
    content: dict[str, Any] = {FORMATS[format].media_type: {}}
    return {"response_class": StreamingResponse, "responses": {200: {"content": content}}}


@router.get("/projects/{id}/ratings.jsonl", **_described("jsonl"))
def as_json_lines(db: Db, files: Files, id: Id) -> StreamingResponse:
    """Every rating event in order of arrival, one JSON object per line."""
    return _sent(db, files, id, "jsonl")


@router.get("/projects/{id}/ratings.csv", **_described("csv"))
def as_csv(db: Db, files: Files, id: Id) -> StreamingResponse:
    """Every rating event, one row each, for a spreadsheet: UTF-8 with a byte order mark.

    Text that a spreadsheet would run as a formula has an apostrophe in front.
    """
    return _sent(db, files, id, "csv")


@router.get("/projects/{id}/ratings.parquet", **_described("parquet"))
def as_parquet(db: Db, files: Files, id: Id) -> StreamingResponse:
    """Every rating event, one row each; `judgement` lists image_id, value and reward."""
    return _sent(db, files, id, "parquet")


@router.get("/projects/{id}/pickapic.parquet", **_described("pickapic"))
def as_pairs(db: Db, files: Files, id: Id, images: Images = False) -> StreamingResponse:
    """Active judgements as pairs of images in Pick-a-Pic's columns; raters are numbers."""
    return _sent(db, files, id, "pickapic", images)


@router.get("/projects/{id}/dataset.zip", **_described("dataset"))
def as_dataset(db: Db, files: Files, id: Id, images: Images = False) -> StreamingResponse:
    """A folder for Hugging Face `datasets`, zipped: one row per event and image."""
    return _sent(db, files, id, "dataset", images)


def _sent(
    db: Database, files: FileStore, project_id: str, format: str, images: bool = False
) -> StreamingResponse:
    kind = FORMATS[format]
    content = export(db, files, project_id, format, images)
    name = f"{slug(projects.get(db, project_id).name)}-{kind.ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type=kind.media_type, headers=headers)
