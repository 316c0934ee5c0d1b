"""Lists from files: prompts and ratings. Good lines are kept, bad ones told with their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field, ValidationError

from loop_studio.errors import Invalid, Refused
from loop_studio.exchange import prompt_lists, rating_lists
from loop_studio.exchange.lines import Line
from loop_studio.storage import importing, projects, prompts
from loop_studio.storage.database import Database
from loop_studio.storage.importing import PastRating
from loop_studio.storage.ratings import RatingIn
from loop_studio.ui.list_files import BODY, TABLES, Upload, content_type
from loop_studio.ui.model_check import check_prompt
from loop_studio.ui.problems import sentence
from loop_studio.ui.routes.ratings import NewRating
from loop_studio.ui.wire import Answer, Db, Id

router = APIRouter()

MOST_ERRORS = 1000  # that are told; the others are counted
MOST_SHOWN = 100  # good prompts in a preview

DryRun = Annotated[bool, Query(description="look only; nothing is kept")]
Mode = Annotated[
    Literal["add", "replace"], Query(description="at the end of the list, or in its place")
]


class LineError(Answer):
    """A line that is left out, and why."""

    line: int
    detail: str


class Report(Answer):
    """What a file holds, line by line."""

    dry_run: bool
    wrong: int = Field(description="how many lines are left out because something is wrong")
    errors: list[LineError] = Field(description=f"the first {MOST_ERRORS:,} of them")


class PromptReport(Report):
    """What a list of prompts holds, and what the project's list holds with it."""

    good: int = Field(description="different prompts that can be used")
    known: int = Field(description="how many of them are on the project's list already")
    repeated: int = Field(description="lines left out because the file has the prompt before")
    total: int = Field(description="prompts on the project's list afterwards")
    prompts: list[str] = Field(description=f"the first {MOST_SHOWN} good ones")


class RatingReport(Report):
    """What became of the ratings of a file."""

    added: int
    known: int = Field(description="events that the studio has already, left as they are")


class ImportedRating(NewRating):
    """A rating event as an export tells it."""

    status: Literal["active", "superseded", "undone"] = "active"
    created_at: Annotated[AwareDatetime, Field(strict=False)] | None = None


class _Wrong:
    """The lines that are left out: the first are kept, the others counted."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[LineError] = []

    def add(self, line: int, detail: str) -> None:
        self.count += 1
        if len(self.first) < MOST_ERRORS:
            self.first.append(LineError(line=line, detail=detail))


@router.post("/projects/{id}/prompts/import", tags=["prompts"], openapi_extra=BODY)
def import_prompts(
    request: Request, db: Db, id: Id, file: Upload, mode: Mode = "add", dry_run: DryRun = False
) -> PromptReport:
    """Take in a list of prompts: text with one per line, or a CSV or TSV with a column `prompt`.

    All that is good is taken in one step, or nothing is. A list holds at most 2,000 prompts.
    """
    listed = {row.text for row in prompts.active(db, id)}
    layout: prompt_lists.Layout = "table" if content_type(request) in TABLES else "either"
    wrong = _Wrong()
    model = projects.get(db, id).model
    kept = listed if mode == "add" else set()
    good, repeated = _sorted(prompt_lists.prompts(file, layout), model, kept, wrong)
    if not dry_run:
        _apply(db, id, mode, list(good.items()))
    return PromptReport(
        dry_run=dry_run,
        good=len(good),
        known=len(listed & good.keys()),
        repeated=repeated,
        total=len(kept | good.keys()),
        prompts=list(islice(good, MOST_SHOWN)),
        wrong=wrong.count,
        errors=wrong.first,
    )


@router.post("/projects/{id}/ratings/import", tags=["ratings"], openapi_extra=BODY)
def import_ratings(db: Db, id: Id, file: Upload, dry_run: DryRun = False) -> RatingReport:
    """Take back ratings that this project has exported, as JSON lines or CSV.

    The same file twice changes nothing. An event that is known with other content is told as wrong
    and stays as it is.
    """
    counts = {"added": 0, "known": 0}
    wrong = _Wrong()
    checked = _checked(rating_lists.ratings(file), wrong)
    while batch := list(islice(checked, importing.AT_ONCE)):
        outcomes = importing.take_in(db, id, [event for _, event in batch], dry_run)
        for (line, _), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Refused):
                wrong.add(line, outcome.detail)
            else:
                counts[outcome] += 1
    return RatingReport(dry_run=dry_run, wrong=wrong.count, errors=wrong.first, **counts)


def _sorted(
    read: Iterable[Line], model: str, kept: set[str], wrong: _Wrong
) -> tuple[dict[str, list[str]], int]:
    """The good prompts with the words of each that the model never saw; how many were repeated.

    `kept` are the prompts that stay on the list beside them.
    """
    good: dict[str, list[str]] = {}
    repeated, room = 0, prompts.MOST - len(kept)
    for line in read:
        if line.text in good:
            repeated += 1
            continue
        try:
            text, unknown = _one(line, model, room > 0 or line.text in kept)
        except Invalid as refusal:
            wrong.add(line.number, refusal.detail)
        else:
            good[text] = unknown
            room -= text not in kept
    return good, repeated


def _one(line: Line, model: str, has_room: bool) -> tuple[str, list[str]]:
    if line.fault:
        raise Invalid(line.fault)
    if not has_room:
        raise Invalid(f"The list is full: it holds at most {prompts.MOST:,} prompts.")
    return check_prompt(line.text, model)


def _apply(db: Database, project_id: str, mode: str, good: list[tuple[str, list[str]]]) -> None:
    if not good:
        raise Invalid("The file has no prompt that can be taken; the list stays as it is.")
    if mode == "add":
        prompts.add(db, project_id, good)
    else:
        prompts.replace(db, project_id, good)


def _checked(
    read: Iterable[tuple[Line, dict[str, Any]]], wrong: _Wrong
) -> Iterator[tuple[int, PastRating]]:
    for line, facts in read:
        if line.fault:
            wrong.add(line.number, line.fault)
            continue
        try:
            told = ImportedRating.model_validate(facts)
        except ValidationError as error:
            first = error.errors()[0]
            wrong.add(line.number, sentence({**first, "loc": ("line", *first["loc"])}))
            continue
        except Refused as refusal:  # an id that is none
            wrong.add(line.number, refusal.detail)
            continue
        rating = RatingIn(**told.model_dump(exclude={"status", "created_at"}))
        yield line.number, PastRating(rating, told.status, told.created_at)
