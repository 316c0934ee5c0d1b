"""Pictures, byte for byte as they were stored: a rater must never judge a codec."""

from __future__ import annotations

from email.utils import formatdate

from fastapi import APIRouter
from fastapi.responses import FileResponse

from loop_studio.errors import NotFound
from loop_studio.storage import groups, schema
from loop_studio.storage.files import FileStore
from loop_studio.ui.wire import Db, Files, Id

router = APIRouter(tags=["images"])

FOREVER = "private, max-age=31536000, immutable"
# The file's own time and tag would tell a hidden repeat from a new group.
_HEADERS = {"Last-Modified": formatdate(0, usegmt=True)}
_CHANGED = (
    "The file of this image was changed or damaged outside the studio, so it is not shown; put it "
    "back from a backup."
)


@router.get(
    "/images/{id}",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}},
)
def image(db: Db, files: Files, id: Id) -> FileResponse:
    """The stored PNG; 403 for one that is blocked, reported or removed, 404 once it is damaged."""
    return png(files, groups.image(db, id))


def png(files: FileStore, image: schema.Image, cached: str = FOREVER) -> FileResponse:
    """A stored picture as an answer; NotFound once its file is not the one that was stored."""
    path = files.path(image.key)
    if not path.is_file():
        raise NotFound("The file of this image is gone from the data folder.", "file_gone")
    if not files.is_whole(image.key, image.sha256):
        raise NotFound(_CHANGED, "file_changed")
    headers = {**_HEADERS, "Cache-Control": cached, "ETag": f'"{image.id}"'}
    return FileResponse(path, media_type="image/png", headers=headers)
