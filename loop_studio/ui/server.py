"""The web application, put together: the door, the API, its documentation, and the pages."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.staticfiles import StaticFiles

from loop_studio import __version__
from loop_studio.settings import Settings
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.ui import documentation, links, metrics, plain, problems, sign_in
from loop_studio.ui.access import Door
from loop_studio.ui.bodies import Bodies
from loop_studio.ui.envelope import AnswerHeaders
from loop_studio.ui.hosts import Hosts
from loop_studio.ui.observing import Matched, Observing
from loop_studio.ui.pace import Pace
from loop_studio.ui.pages import mount
from loop_studio.ui.proxies import Proxies
from loop_studio.ui.refusals import Refusals
from loop_studio.ui.routes import (
    account,
    autopilot,
    consent,
    curves,
    data,
    exports,
    groups,
    guard,
    health,
    history,
    images,
    imports,
    jobs,
    learned,
    lineage,
    lists,
    orders,
    people,
    project_life,
    projects,
    prompts,
    raters,
    ratings,
    reports,
    rewards,
    samples,
    schedules,
    session,
    take_home,
    trials,
    updates,
    versions,
    watching,
)
from loop_studio.ui.sessions import Keys, Patience
from loop_studio.ui.who import Who, authorise

STATIC = Path(__file__).resolve().parents[2] / "static"
_RESOURCES = (
    session,
    account,
    people,
    projects,
    project_life,
    prompts,
    groups,
    images,
    raters,
    ratings,
    exports,
    lists,
    updates,
    jobs,
    schedules,
    rewards,
    learned,
    autopilot,
    trials,
    versions,
    lineage,
    imports,
    take_home,
    samples,
    orders,
    history,
    curves,
    guard,
    data,
    consent,
    reports,
    watching,
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
        dependencies=[Depends(authorise)],
    )
    app.state.settings, app.state.database, app.state.files = settings, db, files
    problems.install(app)
    app.state.metrics, requests = metrics.registry(app.state)
    _guard(app, settings, requests)
    _route(app)
    if with_pages:
        mount(app)
    return app


def _guard(app: FastAPI, settings: Settings, requests: metrics.Requests) -> None:
    """Middleware from the inside out: the last one added is the first that a request meets."""
    keys = app.state.keys = Keys(settings.data, settings.credential)
    patience = app.state.patience = Patience()
    # No origin is allowed. That it is here at all stops Gradio from reflecting every origin.
    app.add_middleware(Matched)
    app.add_middleware(CORSMiddleware, allow_origins=())
    app.add_middleware(Bodies)
    app.add_middleware(
        Door,
        hosts=Hosts(settings),
        keys=keys,
        attempts=patience.addresses,
        scraper=settings.scraper_token,
    )
    app.add_middleware(Pace)
    app.add_middleware(AnswerHeaders)
    app.add_middleware(Refusals)
    app.add_middleware(Observing, requests=requests)
    app.add_middleware(Proxies, trusted=settings.trusted_proxies)
    app.include_router(sign_in.router(keys, patience))
    app.include_router(links.router(keys))


def _route(app: FastAPI) -> None:
    app.include_router(health.router)
    app.include_router(metrics.router)
    for resource in _RESOURCES:
        app.include_router(resource.router, prefix="/api/v1", responses=problems.DOCUMENTED)
    app.include_router(documentation.router)
    app.include_router(plain.router)
    app.include_router(_entrances)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


_entrances = APIRouter(include_in_schema=False)


@_entrances.api_route("/", methods=["GET", "HEAD"])
async def front_door(request: Request, who: Who) -> Response:
    """People come to rate; guests where their link leads."""
    query = f"project={who.project_id}" if who.is_guest else request.url.query
    path = request.scope.get("root_path", "") + (plain.PATH if who.is_guest else "/rate")
    return RedirectResponse(path + (f"?{query}" if query else ""), 307)


@_entrances.api_route("/api/{path:path}", methods=_METHODS)
async def nowhere(request: Request) -> Response:
    """An address of the API that does not exist, or not for this method.

    Without it the pages, mounted at `/`, would answer in a shape of their own.
    """
    matches = [route.matches(request.scope)[0] for route in request.app.router.routes]
    raise HTTPException(405 if Match.PARTIAL in matches else 404)
