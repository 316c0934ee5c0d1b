"""Who sends a request: found by the door, checked for every route, and asked by handlers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import iter_route_contexts
from starlette.requests import HTTPConnection

from loop_studio.errors import Forbidden
from loop_studio.storage import guests
from loop_studio.storage.roles import STRANGER, Principal, Role
from loop_studio.ui import permissions
from loop_studio.ui.wire import RaterName

log = logging.getLogger(__name__)


async def _principal(request: HTTPConnection) -> Principal:
    who: Principal = request.scope.get("principal", STRANGER)
    return who


Who = Annotated[Principal, Depends(_principal)]


async def _rater(who: Who, rater: RaterName = None) -> str:
    return who.judges_as(rater)


RaterQuery = Annotated[str, Depends(_rater)]  # the name under which this request judges


def templates(app: FastAPI) -> dict[Callable[..., Any], str]:
    """The path of every route of our own, by its endpoint."""
    contexts = iter_route_contexts(app.routes)
    return {found.endpoint: found.path for found in contexts if found.endpoint and found.path}


async def authorise(request: Request) -> None:
    """Refuse whoever may not use this route. Every route has it, whichever module it is in."""
    if not hasattr(request.app.state, "templates"):
        request.app.state.templates = templates(request.app)
    path = request.app.state.templates.get(request.scope["endpoint"], "")
    who = await _principal(request)
    least = permissions.of_route(request.method, path)
    if least is None:
        log.error("no role is declared for %s %s, so it is refused", request.method, path)
        raise Forbidden("Nobody may use this address; it has no role yet.")
    if who.role < least:
        raise too_small(who, least)
    if who.project_id is not None:
        await _hold_to(who.project_id, request, path)


def too_small(who: Principal, least: Role) -> Forbidden:
    """The refusal of one whose role does not reach."""
    if who.scope is not None:
        return Forbidden(
            f"This token may only {who.scope}; this needs one made by and for a role of "
            f"{least.word}.",
            "scope_too_small",
        )
    if who.is_guest:
        return Forbidden(f"{guests.OTHER_PROJECT} For more, ask for an account.", "role_too_small")
    return Forbidden(
        f"This is for the role {least.word}; yours is {who.role.word}. Ask an administrator.",
        "role_too_small",
    )


async def _hold_to(project_id: str, request: Request, path: str) -> None:
    kind = permissions.scoped_kind(path)
    if kind is None:
        return
    thing = request.path_params.get("id") or request.path_params.get("event_id", "")
    db = request.app.state.database
    if not await run_in_threadpool(guests.is_within, db, project_id, kind, thing):
        raise Forbidden(guests.OTHER_PROJECT, "another_project")
