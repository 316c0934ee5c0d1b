"""Orders: a group of a chosen prompt by a chosen version, for the rating queue."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from loop_studio.storage import orders, projects, schema
from loop_studio.ui.failures import UpdateError, failure
from loop_studio.ui.model_check import check_prompt
from loop_studio.ui.routes.samples import Seed
from loop_studio.ui.routes.updates import State
from loop_studio.ui.who import Who
from loop_studio.ui.wire import Answer, Body, Db, Id, Rater, Text

router = APIRouter(tags=["groups"])


class NewOrder(Body):
    """A group to be made with the project's own settings; `seed` is its first picture's.

    With a `rater` it comes next for that one, else after the groups of the live version.
    """

    prompt: Text
    version: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    seed: Seed | None = None
    rater: Rater | None = None


class Order(Answer):
    """A group that was ordered; it can be judged once `status` is succeeded."""

    id: str
    status: State
    error: UpdateError | None


@router.post("/projects/{id}/orders", status_code=202)
def order_group(db: Db, who: Who, id: Id, new: NewOrder) -> Order:
    """Have one group made, which can be judged and learned from like any other."""
    text, unknown = check_prompt(new.prompt, projects.get(db, id).model)
    rater = None if new.rater is None else who.judges_as(new.rater)
    return _answer(orders.create(db, id, text, unknown, new.version, new.seed, rater))


@router.get("/orders/{id}")
def get_order(db: Db, id: Id) -> Order:
    """One order."""
    return _answer(orders.get(db, id))


def _answer(job: schema.Job) -> Order:
    return Order(id=job.id, status=job.state, error=failure(job.error_code, job.error_detail))
