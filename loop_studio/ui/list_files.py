"""Files that people send: raw, as large as a list of a million lines, never held in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, BinaryIO

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from loop_studio.errors import TooLarge, Unsupported
from loop_studio.storage import projects
from loop_studio.ui.wire import Db, Files, Id

LARGEST = 1024**3  # bytes: a million ratings have about 700 MB
TABLES = ("text/csv", "text/tab-separated-values")
TYPES = ("text/plain", *TABLES, "application/x-ndjson", "application/octet-stream")

# What the documentation says of a body that no model describes.
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES},
    }
}


def content_type(request: Request) -> str:
    """The type that the sender gave, without its parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def _received(request: Request, db: Db, files: Files, id: Id) -> AsyncIterator[BinaryIO]:
    """The whole file, on disk for as long as the request lasts."""
    await run_in_threadpool(projects.get, db, id)
    if content_type(request) not in TYPES:
        raise Unsupported(f"Send the file itself, with a Content-Type of {', '.join(TYPES)}.")
    with files.scratch() as scratch:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > LARGEST:
                raise TooLarge("The file is larger than 1 GiB; send it in parts.")
            await run_in_threadpool(scratch.write, chunk)
        scratch.seek(0)
        yield scratch


Upload = Annotated[BinaryIO, Depends(_received)]
