"""How reliable a project's raters are: pace, agreement with others, steadiness on repeats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.agreement import LEVELS, Best, Level, agreeing, alpha, category
from loop_studio.shares import Share
from loop_studio.storage import repeats
from loop_studio.storage.database import Database, batched, found
from loop_studio.storage.schema import Group, Project, Rater, Rating
from loop_studio.storage.worth import best, images_of

LEAST_GROUPS = 10  # below this an alpha says more about luck than about raters
_PACE_OF = 200  # latest judgements


@dataclass(frozen=True)
class RaterView:
    """A rater in figures. `agreement`: with each other rater who is not excluded, per group."""

    id: str
    name: str
    excluded: bool
    ratings: int  # active rating events
    pace_s: float | None  # median seconds of the latest judgements
    self_consistency: Share  # repeats with the same best pictures as the first time
    agreement: Share


@dataclass(frozen=True)
class Measure:
    """Krippendorff's alpha of one gesture; None below `LEAST_GROUPS` groups, or without variety."""

    name: str  # "best_picture", whatever the gesture, or a gesture
    level: Level
    alpha: float | None
    groups: int


@dataclass(frozen=True)
class Agreement:
    """How far the project's raters agree, excluded ones left out."""

    best_picture: Share  # pairs of raters of one group who name the same best, averaged per group
    measures: list[Measure]


@dataclass(frozen=True)
class _Judged:
    """One rater's judgement of one group; images by position."""

    rater_id: str
    excluded: bool
    mode: str
    raw: list[float | None]
    best: Best


def of_raters(db: Database, project_id: str) -> list[RaterView]:
    """Every rater of a project, in order of arrival."""
    with db.read() as session:
        found(session, Project, project_id)
        wanted = select(Rater).where(Rater.project_id == project_id, Rater.removed_at.is_(None))
        rows = session.scalars(wanted.order_by(Rater.created_at, Rater.id)).all()
        return _views(session, project_id, rows)


def of_rater(db: Database, project_id: str, rater_id: str) -> RaterView:
    """One rater in figures, or NotFound."""
    with db.read() as session:
        return _views(session, project_id, [found(session, Rater, rater_id)])[0]


def agreement(db: Database, project_id: str) -> Agreement:
    """Agreement over the groups that two raters or more have judged."""
    with db.read() as session:
        found(session, Project, project_id)
        groups = [
            counted
            for judged in _shared(session, project_id).values()
            if len(counted := [one for one in judged if not one.excluded]) >= 2
        ]
    named = [[category(one.best) for one in judged] for judged in groups]
    measures = [_measure("best_picture", "nominal", [named], len(groups))]
    for mode, level in LEVELS.items():
        by_mode = [[one for one in judged if one.mode == mode] for judged in groups]
        by_mode = [judged for judged in by_mode if len(judged) >= 2]
        if by_mode:
            units = [_by_image(judged) for judged in by_mode]
            measures.append(_measure(mode, level, units, len(by_mode)))
    pairs = Share.of(agreeing([one.best for one in judged]) for judged in groups)
    return Agreement(pairs, measures)


def _measure(
    name: str, level: Level, units: Iterable[Iterable[Sequence[float]]], groups: int
) -> Measure:
    flat = [unit for of_group in units for unit in of_group]
    return Measure(name, level, alpha(flat, level) if groups >= LEAST_GROUPS else None, groups)


def _by_image(judged: Sequence[_Judged]) -> list[list[float]]:
    """One unit per picture: the values that raters gave it."""
    columns = zip(*(one.raw for one in judged), strict=True)
    return [[value for value in column if value is not None] for column in columns]


def _views(session: Session, project_id: str, rows: Sequence[Rater]) -> list[RaterView]:
    active = (Rating.project_id == project_id, Rating.status == "active")
    by_rater = select(Rating.rater_id, func.count()).where(*active).group_by(Rating.rater_id)
    counts = dict(session.execute(by_rater).all())
    steady = repeats.steadiness(session, project_id)
    agreeing_with = _with_others(_shared(session, project_id).values())
    return [
        RaterView(
            id=row.id,
            name=row.name,
            excluded=row.excluded,
            ratings=counts.get(row.id, 0),
            pace_s=_pace_s(session, row.id),
            self_consistency=Share.of(steady.get(row.id, ())),
            agreement=Share.of(agreeing_with.get(row.id, ())),
        )
        for row in rows
    ]


def _pace_s(session: Session, rater_id: str) -> float | None:
    timed = (Rating.rater_id == rater_id, Rating.status == "active", Rating.elapsed_ms.is_not(None))
    latest = select(Rating.elapsed_ms).where(*timed).order_by(Rating.sequence.desc())
    took = session.scalars(latest.limit(_PACE_OF)).all()
    return median(value for value in took if value is not None) / 1000 if took else None


def _with_others(groups: Iterable[Sequence[_Judged]]) -> dict[str, list[float]]:
    """By rater: for each group, the share of the others who name the same best."""
    parts: dict[str, list[float]] = defaultdict(list)
    for judged in groups:
        for one in judged:
            others = [other for other in judged if not other.excluded and other is not one]
            if others:
                parts[one.rater_id].append(fmean(other.best == one.best for other in others))
    return parts


def _shared(session: Session, project_id: str) -> dict[str, list[_Judged]]:
    """By group: the judgements in force of every group that two raters or more have judged."""
    in_force = (
        Rating.project_id == project_id,
        Rating.status == "active",
        Rating.mode != "skip",
    )
    by_group = select(Rating.group_id).where(*in_force).group_by(Rating.group_id)
    shared = by_group.having(func.count(Rating.rater_id.distinct()) > 1)
    ids = session.scalars(shared.join(Group).where(Group.kind == "group")).all()
    groups: dict[str, list[_Judged]] = defaultdict(list)
    for some in batched(ids):
        images = images_of(session, some)
        wanted = select(Rating, Rater.excluded).join(Rater, Rater.id == Rating.rater_id)
        wanted = wanted.where(*in_force, Rating.group_id.in_(some)).order_by(Rating.sequence)
        for rating, excluded in session.execute(wanted):
            judged = _judged(rating, excluded, images[rating.group_id])
            groups[rating.group_id].append(judged)
    return groups


def _judged(rating: Rating, excluded: bool, images: Sequence[str]) -> _Judged:
    return _Judged(
        rater_id=rating.rater_id,
        excluded=excluded,
        mode=rating.mode,
        raw=[rating.judgement.get(image) for image in images],
        best=best(rating, images),
    )
