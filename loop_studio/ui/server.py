"""The web application, put together: the door, the API, its documentation, and the pages."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.staticfiles import StaticFiles

from loop_studio import __version__
from loop_studio.settings import Settings
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.ui import documentation, plain, problems, sign_in
from loop_studio.ui.access import Door
from loop_studio.ui.bodies import Bodies
from loop_studio.ui.envelope import AnswerHeaders, ForwardedPrefix
from loop_studio.ui.hosts import Hosts
from loop_studio.ui.pages import mount
from loop_studio.ui.routes import (
    exports,
    groups,
    health,
    history,
    images,
    imports,
    lists,
    projects,
    prompts,
    raters,
    ratings,
    rewards,
    samples,
    updates,
    versions,
)
from loop_studio.ui.sessions import Attempts, Sessions

STATIC = Path(__file__).resolve().parents[2] / "static"
_RESOURCES = (
    projects,
    prompts,
    groups,
    images,
    raters,
    ratings,
    exports,
    lists,
    updates,
    rewards,
    versions,
    imports,
    samples,
    history,
)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(
    settings: Settings, db: Database, files: FileStore, *, with_pages: bool = True
) -> FastAPI:
    """The whole web server; `with_pages=False` leaves out Gradio, for the API alone."""
    app = FastAPI(
        title="LOOP Studio",
        version=__version__,
        openapi_url=documentation.OPENAPI,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings, app.state.database, app.state.files = settings, db, files
    problems.install(app)
    _guard(app, settings)
    _route(app)
    if with_pages:
        mount(app)
    return app


def _guard(app: FastAPI, settings: Settings) -> None:
    """Middleware from the inside out: the last one added is the first that a request meets."""
    attempts = Attempts()
    password = settings.credential
    sessions = Sessions(settings.data, password) if password else None
    # No origin is allowed. That it is here at all stops Gradio from reflecting every origin.
    app.add_middleware(CORSMiddleware, allow_origins=())
    app.add_middleware(Bodies)
    app.add_middleware(Door, hosts=Hosts(settings), sessions=sessions, attempts=attempts)
    app.add_middleware(AnswerHeaders)
    app.add_middleware(ForwardedPrefix)
    if sessions is not None:
        app.include_router(sign_in.router(sessions, attempts))


def _route(app: FastAPI) -> None:
    app.include_router(health.router)
    for resource in _RESOURCES:
        app.include_router(resource.router, prefix="/api/v1", responses=problems.DOCUMENTED)
    app.include_router(documentation.router)
    app.include_router(plain.router)
    app.include_router(_entrances)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


_entrances = APIRouter(include_in_schema=False)


@_entrances.api_route("/", methods=["GET", "HEAD"])
async def front_door(request: Request) -> Response:
    """People come to rate."""
    query = request.url.query
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/rate" + (f"?{query}" if query else ""), 307)


@_entrances.api_route("/api/{path:path}", methods=_METHODS)
async def nowhere(request: Request) -> Response:
    """An address of the API that does not exist, or not for this method.

    Without it the pages, mounted at `/`, would answer in a shape of their own.
    """
    matches = [route.matches(request.scope)[0] for route in request.app.router.routes]
    raise HTTPException(405 if Match.PARTIAL in matches else 404)
