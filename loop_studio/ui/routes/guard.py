"""The guard's notice: a version that someone must decide about, and its pictures of before."""

from __future__ import annotations

from fastapi import APIRouter, Request

from loop_studio.storage import guard
from loop_studio.ui.wire import Answer, Db, Id, Nothing, image_url

router = APIRouter(tags=["guard"])


class BeforeAfter(Answer):
    """The same prompt and seed under both versions; null while a picture is not made."""

    prompt: str
    seed: int
    before: str | None
    after: str | None


class GuardedVersion(Answer):
    """One of the two versions."""

    id: str
    number: int


class Notice(Answer):
    """`version` has `concerns`; `other` is live, or the one to go back to while `version` is."""

    version: GuardedVersion
    other: GuardedVersion
    is_live: bool
    concerns: list[str]
    pictures: list[BeforeAfter]


class GuardState(Answer):
    """What someone must decide about, if anything."""

    notice: Notice | None


@router.get("/projects/{id}/guard")
def state(request: Request, db: Db, id: Id) -> GuardState:
    """The guard's notice. To have the version live all the same, activate it."""
    found = guard.notice(db, id)
    return GuardState(notice=None if found is None else _told(request, found))


@router.post("/versions/{id}/dismiss")
def dismiss(db: Db, id: Id, nothing: Nothing) -> GuardedVersion:
    """Leave what is live as it is; the notice goes. Repeatable."""
    return GuardedVersion.model_validate(guard.dismiss(db, id))


def _told(request: Request, found: guard.Notice) -> Notice:
    def url(image_id: str | None) -> str | None:
        return image_url(request, image_id) if image_id else None

    pictures = [
        BeforeAfter(
            prompt=cell.prompt, seed=cell.seed, before=url(cell.before), after=url(cell.after)
        )
        for cell in found.pictures
    ]
    return Notice(
        version=GuardedVersion.model_validate(found.version),
        other=GuardedVersion.model_validate(found.other),
        is_live=found.is_live,
        concerns=found.version.concerns,
        pictures=pictures,
    )
