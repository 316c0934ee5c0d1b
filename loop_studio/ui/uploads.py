"""A file in the body of a request, on its way to the file store: piece by piece, up to a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from loop_studio.errors import Refused, TooLarge
from loop_studio.storage.files import FileStore, StoredFile, new_key


async def receive(
    request: Request, files: FileStore, *, suffix: str, largest: int, too_large: str
) -> StoredFile:
    """Store the body under a new key. Nothing is left of one that is too large or cut off.

    `largest` is in bytes and `too_large` the sentence for more; raises TooLarge, and Refused
    (`cut_off`) when the client goes away.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 15 or int(announced) > largest):
        raise TooLarge(too_large)
    loop, pieces = asyncio.get_running_loop(), request.stream()

    async def piece() -> bytes:
        return await anext(pieces, b"")

    def taken() -> Iterator[bytes]:
        size = 0
        while data := asyncio.run_coroutine_threadsafe(piece(), loop).result():
            size += len(data)
            if size > largest:
                raise TooLarge(too_large)
            yield data

    try:
        # In a thread of its own: slow senders take none of those that answer other requests.
        return await asyncio.to_thread(files.put, new_key(suffix), taken())
    except ClientDisconnect as error:
        raise Refused("The file was cut off; send it again.", "cut_off") from error
