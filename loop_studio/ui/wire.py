"""The kinds of values that cross the wire, and how routes reach the studio's stores."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from loop_studio.errors import NotFound
from loop_studio.exchange.names import slug as slug
from loop_studio.settings import Settings
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Body(BaseModel):
    """A request's JSON: no field that we do not know, no value of another kind."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(Body):
    """A request that takes no fields."""


class Answer(BaseModel):
    """A resource as it is answered, read from the attributes of what storage gives."""

    model_config = ConfigDict(from_attributes=True)


class WorkerState(Answer):
    """The worker, as everyone may see it."""

    state: Literal["none", "starting", "ready", "busy", "lost"]
    device: str | None
    heartbeat_age_s: float | None
    accelerator_age_s: float | None


class WorkerReport(WorkerState):
    """The worker, with the last sentence of its log when it was lost."""

    last_words: str | None


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _storable(text: str) -> str:
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("it must not hold NUL or half a character (a lone surrogate).")
    return text


def _shaped(value: str) -> str:
    if not _ID.fullmatch(value):
        raise NotFound("There is nothing with that id; it is no id of this studio.")
    return value


Time = Annotated[datetime, PlainSerializer(_utc, return_type=str)]
Text = Annotated[str, AfterValidator(_storable)]
Id = Annotated[str, AfterValidator(_shaped)]
Rater = Annotated[Text, Field(min_length=1, max_length=80, description="the rater's name")]
RaterName = Annotated[
    Text | None,
    Query(
        min_length=1, max_length=80, description="the rater's name; yours if you have an account"
    ),
]


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _files(request: Request) -> FileStore:
    files: FileStore = request.app.state.files
    return files


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


Db = Annotated[Database, Depends(_database)]
Files = Annotated[FileStore, Depends(_files)]
Configured = Annotated[Settings, Depends(_settings)]


def image_url(request: Request, image_id: str) -> str:
    """Where an image is found: root-relative, with the sub-path when there is one."""
    return f"{request.scope.get('root_path', '')}/api/v1/images/{image_id}"
