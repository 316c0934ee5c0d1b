"""Curves: what got better, what stayed safe, how it learns; thinned for the eye."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from loop_studio.storage import curves
from loop_studio.ui.wire import Answer, Db, Id

router = APIRouter(tags=["curves"])

Most = Annotated[int, Query(ge=10, le=2000, description="most points of one curve")]


class Point(Answer):
    """A value with its 95 % interval, where it has one."""

    x: float
    mean: float
    low: float | None
    high: float | None


class Curve(Answer):
    """A series; `count` is how many points there are before thinning."""

    name: str
    count: int
    points: list[Point]


class CurveList(Answer):
    """`curves` by version, or by optimizer step of one update; `denoising` by denoising step."""

    curves: list[Curve]
    denoising: list[Curve]


@router.get("/projects/{id}/curves")
def of_project(db: Db, id: Id, points: Most = 300) -> CurveList:
    """Over all versions: `x` is a version's number, and optimizer steps lie between two."""
    drawn = curves.of_project(db, id, points)
    return CurveList.model_validate(
        {"curves": drawn, "denoising": curves.newest_by_timestep(db, id)}
    )


@router.get("/updates/{id}/curves")
def of_update(db: Db, id: Id, points: Most = 300) -> CurveList:
    """Of one update: `x` is its optimizer step, from 1."""
    drawn, denoising = curves.of_update(db, id, points)
    return CurveList.model_validate({"curves": drawn, "denoising": denoising})
