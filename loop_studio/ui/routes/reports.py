"""Reported pictures, and what someone decides about them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import Field

from loop_studio.storage import reports
from loop_studio.storage.reports import LONGEST_REASON, Decision
from loop_studio.ui.routes.images import png
from loop_studio.ui.who import Who
from loop_studio.ui.wire import Answer, Body, Db, Files, Id, Rater, Text, Time

router = APIRouter(tags=["reports"])


class NewReport(Body):
    """Why this rater thinks that nobody should see the picture; the reason may be empty."""

    rater: Rater | None = None  # whoever has an account may leave it out
    reason: Annotated[Text, Field(max_length=LONGEST_REASON)] = ""


class Reported(Answer):
    """A report as the rater who made it sees it: nothing of where the picture comes from."""

    id: str
    image_id: str
    state: Literal["open", "kept", "removed"]
    created_at: Time


class Report(Reported):
    """A report as those who decide see it."""

    prompt: str
    rater: str
    reason: str
    url: str
    decided_at: Time | None


class ReportList(Answer):
    """Reports, open ones first, then the newest."""

    reports: list[Report]


class NewDecision(Body):
    """Whether the picture is shown again or removed for good."""

    decision: Decision


@router.post("/images/{id}/report", status_code=201)
def report(db: Db, who: Who, id: Id, new: NewReport) -> Reported:
    """Hide a picture that was shown to this rater, until someone decides. Repeatable."""
    return Reported.model_validate(reports.report(db, id, who.judges_as(new.rater), new.reason))


@router.get("/projects/{id}/reports")
def list_reports(request: Request, db: Db, id: Id) -> ReportList:
    """What raters reported."""
    return ReportList(reports=[_told(request, row) for row in reports.listing(db, id)])


@router.put("/reports/{id}/decision")
def decide(request: Request, db: Db, id: Id, new: NewDecision) -> Report:
    """Keep the picture or remove it, for everyone who reported it. Repeatable, both ways."""
    reports.decide(db, id, new.decision)
    return _told(request, reports.get(db, id))


@router.get(
    "/reports/{id}/image",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}},
)
def reported_image(db: Db, files: Files, id: Id) -> FileResponse:
    """The picture, for those who decide; hidden from everyone else."""
    return png(files, reports.image(db, id), cached="no-store")


def _told(request: Request, row: reports.Listed) -> Report:
    url = f"{request.scope.get('root_path', '')}/api/v1/reports/{row.id}/image"
    return Report.model_validate({**vars(row), "url": url})
