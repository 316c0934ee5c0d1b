"""What a rater has judged: to look through, mark, download and judge anew."""

from __future__ import annotations

import io
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from PIL import Image as PIL
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from loop_studio.content import Withheld
from loop_studio.errors import NotFound
from loop_studio.judgement import Gesture
from loop_studio.storage import groups, history, projects
from loop_studio.storage.history import LONGEST_NOTE, Filter, Verdict
from loop_studio.ui.routes.groups import Kind
from loop_studio.ui.who import RaterQuery, Who
from loop_studio.ui.wire import (
    Answer,
    Body,
    Db,
    Files,
    Id,
    Rater,
    Text,
    Time,
    image_url,
)

router = APIRouter(tags=["history"])


class Asked(BaseModel):
    """Whose history, and what of it."""

    model_config = ConfigDict(extra="forbid")

    rater: Rater | None = None
    prompt: Annotated[Text | None, Field(max_length=200)] = None
    version: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None
    verdict: Verdict | None = None
    flagged: bool | None = None
    favourite: bool | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    before: Annotated[int | None, Field(ge=0, le=2**63 - 1)] = None


class PastImage(Answer):
    """A picture of a judged group."""

    id: str
    url: str
    width: int
    height: int
    version: int | None
    seed: int
    advantage: float | None
    favourite: bool
    blurred: bool
    withheld: Withheld | None


class PastGroup(Answer):
    """A judged group, the judgement that counts, and the rater's remarks."""

    id: str
    kind: Kind
    sequence: int
    event_id: str
    prompt: str
    version: int
    mode: Gesture
    judgement: dict[str, float | None]
    verdict: Verdict
    usable: bool
    reason: str
    used_by_update_id: str | None
    flagged: bool
    note: str
    created_at: Time
    images: list[PastImage]


class History(Answer):
    """Judged groups, oldest first; `more` says whether older ones pass the filter too."""

    groups: list[PastGroup]
    more: bool


class NewRemark(Body):
    """A flag and a note on a group; both replace what this rater said of it before."""

    rater: Rater | None = None
    flagged: bool = False
    note: Annotated[Text, Field(max_length=LONGEST_NOTE)] = ""


class NewFavourite(Body):
    """Whether a picture is among this rater's favourites."""

    rater: Rater | None = None
    favourite: bool


@router.get("/projects/{id}/history")
def judged(request: Request, db: Db, who: Who, id: Id, asked: Annotated[Asked, Query()]) -> History:
    """The newest groups that a rater judged, or those before a sequence number."""
    wanted = Filter(asked.prompt, asked.version, asked.verdict, asked.flagged, asked.favourite)
    rater = who.judges_as(asked.rater)
    found = history.judged(db, id, rater, wanted, asked.limit + 1, asked.before)
    return History(
        groups=[_told(request, past) for past in found[-asked.limit :]],
        more=len(found) > asked.limit,
    )


@router.put("/groups/{id}/remark")
def remark(db: Db, who: Who, id: Id, new: NewRemark) -> NewRemark:
    """Flag a group or note something about it. Nothing is learned from it."""
    new.rater = who.judges_as(new.rater)
    history.remark(db, id, new.rater, flagged=new.flagged, note=new.note)
    return new


@router.put("/images/{id}/favourite")
def favour(db: Db, who: Who, id: Id, new: NewFavourite) -> NewFavourite:
    """Keep a picture among the favourites, or no longer."""
    new.rater = who.judges_as(new.rater)
    history.favour(db, id, new.rater, favourite=new.favourite)
    return new


@router.get(
    "/images/{id}/download",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
def download(db: Db, files: Files, id: Id, rater: RaterQuery) -> Response:
    """The picture with its prompt, seed, version and settings inside, once it is judged."""
    image, version = history.may_take(db, id, rater)
    group = groups.get(db, image.group_id or "")
    path = files.path(image.key)
    if not path.is_file():
        raise NotFound("The file of this image is gone from the data folder.", "file_gone")
    facts: dict[str, Any] = {
        "prompt": image.prompt,
        "seed": image.seed,
        "version": version,
        "model": projects.get(db, group.project_id).model,
        **projects.revision(db, group.revision_id).config.generation(),
    }
    data = io.BytesIO()
    with PIL.open(path) as picture:
        picture.save(data, "PNG", pnginfo=_inside(facts))
    name = f"version-{version}-seed-{image.seed}.png"
    return Response(
        data.getvalue(),
        media_type="image/png",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _inside(facts: dict[str, Any]) -> PngInfo:
    """One text per fact, and `parameters`, which other tools show to people."""
    info = PngInfo()
    for name, value in facts.items():
        info.add_itxt(name, value if isinstance(value, str) else json.dumps(value))
    rest = ", ".join(f"{name}: {value}" for name, value in facts.items() if name != "prompt")
    info.add_itxt("parameters", f"{facts['prompt']}\n{rest}")
    return info


def _told(request: Request, past: history.PastGroup) -> PastGroup:
    images = [{**vars(image), "url": image_url(request, image.id)} for image in past.images]
    return PastGroup.model_validate({**vars(past), "images": images})
