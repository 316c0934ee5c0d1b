"""Groups to judge: the next one at once, and, once judged, where it came from."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from loop_studio.content import Withheld
from loop_studio.storage import groups, guests, status
from loop_studio.storage.database import Database
from loop_studio.ui.who import RaterQuery, Who
from loop_studio.ui.wire import Answer, Db, Id, image_url

router = APIRouter(tags=["groups"])

MOST_EXCLUDED = 200
KINDS = r"^(group|repeat|pair)(,(group|repeat|pair))*$"
NO_ETA_S = 5  # seconds to ask again after, when nothing is being generated

Kind = Literal["group", "repeat", "pair"]


class GroupImage(Answer):
    """A picture to judge."""

    id: str
    url: str
    width: int
    height: int
    blurred: bool


class Group(Answer):
    """The pictures of one prompt, in the order in which this rater is shown them."""

    id: str
    kind: Kind
    prompt: str
    version: int | None
    images: list[GroupImage]


class JudgedImage(GroupImage):
    """A picture after judging: what made it and what it was given."""

    version: int
    seed: int
    withheld: Withheld | None
    reward: float | None
    advantage: float | None
    scores: dict[str, float]


class JudgedGroup(Answer):
    """Everything about a group, told once the asking rater has judged it."""

    id: str
    kind: Kind
    prompt: str
    version: int
    settings: dict[str, Any]
    images: list[JudgedImage]
    rewards: dict[str, float | None]


@router.get(
    "/projects/{id}/groups/next",
    response_model=Group,
    responses={204: {"description": "None is ready yet; ask again after Retry-After seconds."}},
)
def next_group(
    request: Request,
    db: Db,
    id: Id,
    who: Who,
    rater: RaterQuery,
    exclude: Annotated[list[Id] | None, Query(max_length=MOST_EXCLUDED)] = None,
    kinds: Annotated[str, Query(pattern=KINDS)] = "group",
) -> Group | Response:
    """The next group for this rater, held for 10 minutes; the same one until it is judged."""
    guests.may_ask(db, who)
    shown = groups.next_for(db, id, rater, exclude or [], set(kinds.split(",")))
    if shown is not None:
        return _shown(request, shown)
    return Response(status_code=204, headers={"Retry-After": str(_retry_seconds(db, id))})


@router.get("/groups/{id}")
def get_group(request: Request, db: Db, id: Id, rater: RaterQuery) -> JudgedGroup:
    """A group that this rater has judged: version, seeds, settings and rewards."""
    return _told(request, groups.detail(db, id, rater))


def _retry_seconds(db: Database, project_id: str) -> int:
    eta = status.status(db, project_id).next_group_eta_s
    return NO_ETA_S if eta is None else max(1, math.ceil(eta))


def _shown(request: Request, group: groups.ShownGroup) -> Group:
    pictures = [
        {
            "id": image.id,
            "url": image_url(request, image.id),
            "width": image.width,
            "height": image.height,
            "blurred": image.blurred,
        }
        for image in group.images
    ]
    return Group.model_validate({**_head(group), "images": pictures})


def _told(request: Request, group: groups.GroupDetail) -> JudgedGroup:
    pictures = [
        {
            "id": image.id,
            "url": image_url(request, image.id),
            "width": image.width,
            "height": image.height,
            "blurred": group.blurred[image.id],
            "withheld": image.withheld,
            "version": group.versions[image.id],
            "seed": image.seed,
            "reward": group.rewards[image.id],
            "advantage": group.advantages[image.id],
            "scores": {
                source: values[image.id]
                for source, values in group.scores.items()
                if image.id in values
            },
        }
        for image in group.images
    ]
    return JudgedGroup.model_validate(
        {
            **_head(group),
            "settings": group.settings,
            "rewards": group.rewards,
            "images": pictures,
        }
    )


def _head(group: groups.ShownGroup | groups.GroupDetail) -> dict[str, Any]:
    return {
        "id": group.id,
        "kind": group.kind,
        "prompt": group.prompt,
        "version": group.version,
    }
