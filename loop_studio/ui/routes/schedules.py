"""Schedules: updates that start by themselves at the dates of a cron line."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from loop_studio.storage import projects, schedules, schema
from loop_studio.storage.database import Database
from loop_studio.storage.schema import now
from loop_studio.timetable import preview
from loop_studio.ui.wire import Answer, Body, Db, Id, Text, Time

router = APIRouter(tags=["schedules"])

_LINE = "five fields as Unix cron reads them, on the clocks of the project's time zone"
Cron = Annotated[Text, Field(min_length=1, max_length=200, description=_LINE)]


class NewSchedule(Body):
    """When updates shall start."""

    cron: Cron


class ScheduleChange(Body):
    """What shall be different."""

    cron: Cron | None = None
    enabled: bool | None = None


class Schedule(Answer):
    """A schedule; `next_runs` are its next three dates, none while it is off."""

    id: str
    project_id: str
    cron: str
    enabled: bool
    time_zone: str
    next_runs: list[Time]
    last_run_at: Time | None
    last_outcome: str | None


class ScheduleList(Answer):
    """The schedules of a project, oldest first."""

    schedules: list[Schedule]


class SchedulePreview(Answer):
    """What a cron line means here."""

    time_zone: str
    next_runs: list[Time]


@router.get("/projects/{id}/schedules")
def list_schedules(db: Db, id: Id) -> ScheduleList:
    """When updates start by themselves."""
    projects.get(db, id)
    return ScheduleList(schedules=[_answer(db, row) for row in schedules.list(db, id)])


@router.post("/projects/{id}/schedules", status_code=201)
def create_schedule(db: Db, id: Id, new: NewSchedule) -> Schedule:
    """Start updates at the dates of a cron line; one that never comes is refused."""
    return _answer(db, schedules.create(db, id, "update", new.cron))


@router.get("/projects/{id}/schedules/preview")
def preview_schedule(
    db: Db, id: Id, cron: Annotated[Text, Query(min_length=1, max_length=200, description=_LINE)]
) -> SchedulePreview:
    """The next three dates of a cron line, before it is saved."""
    zone = projects.config(db, id).time_zone
    return SchedulePreview(time_zone=zone, next_runs=preview(cron, now(), zone))


@router.patch("/schedules/{id}")
def change_schedule(db: Db, id: Id, change: ScheduleChange) -> Schedule:
    """Change its line, or switch it off and on."""
    return _answer(db, schedules.change(db, id, change.cron, change.enabled))


@router.delete("/schedules/{id}", status_code=204)
def remove_schedule(db: Db, id: Id) -> None:
    """Forget a schedule; repeatable."""
    schedules.remove(db, id)


def _answer(db: Database, row: schema.Schedule) -> Schedule:
    assert row.project_id is not None
    zone = projects.config(db, row.project_id).time_zone
    return Schedule(
        id=row.id,
        project_id=row.project_id,
        cron=row.cron,
        enabled=row.enabled,
        time_zone=zone,
        next_runs=preview(row.cron, now(), zone) if row.enabled else [],
        last_run_at=row.last_run_at,
        last_outcome=row.last_outcome,
    )
