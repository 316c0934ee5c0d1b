"""Whether the studio is up: for people, for Docker's HEALTHCHECK, for a tab after an upgrade."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from loop_studio import __version__
from loop_studio.storage import migration, workers
from loop_studio.ui.wire import Answer, Db, WorkerState

router = APIRouter(tags=["health"])


_UNKNOWN = workers.WorkerView("none", None, None)


class Health(Answer):
    """The state of the web process, its database and the worker."""

    status: Literal["ok", "unready"]
    release: str
    database: str
    worker: WorkerState


@router.get("/healthz", response_model=Health, responses={503: {"model": Health}})
def healthz(db: Db, require: Literal["worker"] | None = None) -> JSONResponse:
    """200 once the web process answers and the database is at head, else 503.

    With `require=worker` also: a worker runs, and its accelerator has computed something lately.
    """
    database = migration.state(db)
    worker = workers.current(db) if database == "head" else _UNKNOWN
    ready = database == "head" and (require is None or worker.can_train)
    health = Health(
        status="ok" if ready else "unready",
        release=__version__,
        database=database,
        worker=WorkerState.model_validate(worker),
    )
    headers = None if ready else {"Retry-After": "5"}
    return JSONResponse(health.model_dump(mode="json"), 200 if ready else 503, headers)
