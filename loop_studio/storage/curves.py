"""The curves of a project: by version, by optimizer step, by denoising step, never too many points.

Long curves are thinned as min-max buckets: of every bucket the lowest and the highest point stay,
so that a spike cannot hide. Intervals are worked out for what is shown alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean
from typing import Any, Protocol

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.guard import Figures, rise, strains
from loop_studio.judgement import MAPPING_VERSION
from loop_studio.shares import Mean, Share
from loop_studio.storage import pairs, projects, versions
from loop_studio.storage.database import Database, found
from loop_studio.storage.guard import FIGURES
from loop_studio.storage.projects import Revision
from loop_studio.storage.schema import (
    Group,
    Project,
    Rater,
    Rating,
    Reward,
    Update,
    UpdateCurves,
    Version,
)

POINTWISE = ("good", "stars")  # gestures that say something of a picture by itself


@dataclass(frozen=True)
class Curves:
    """What an update measured on its way, in columns."""

    steps: Mapping[str, Sequence[float | None]]
    timesteps: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Point:
    """One value, with a 95 % interval where there is one."""

    x: float
    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curve:
    """A named series; `count` points were there before it was thinned."""

    name: str
    count: int
    points: list[Point]


class Estimate(Protocol):
    """A value that can tell how sure it is."""

    @property
    def value(self) -> float:
        """The best guess."""
        ...

    def interval(self) -> tuple[float, float] | None:
        """At 95 %; None where it has none."""
        ...


@dataclass(frozen=True)
class _Known:
    value: float
    bounds: tuple[float, float] | None = None

    def interval(self) -> tuple[float, float] | None:
        return self.bounds


Series = dict[str, list[tuple[float, Estimate]]]


def of_project(db: Database, project_id: str, most: int) -> list[Curve]:
    """Every curve over the project's versions; optimizer steps lie between two of them."""
    with db.read() as session:
        project = found(session, Project, project_id)
        numbers, rows = _metrics(session, project_id)
        series = _measured(rows)
        series |= _human_means(session, project_id)
        steps = _steps(session, project_id)
    terms = projects.revision(db, project.revision_id or "")
    series |= _guarded(rows, terms)
    rated: dict[str, Mapping[str, Share]] = {
        "human/none_share": versions.none_shares(db, project_id),
        "human/win_rate": pairs.win_rates(db, project_id),
    }
    for name, shares in rated.items():
        series[name] = sorted(
            ((float(numbers[version]), share) for version, share in shares.items()),
            key=lambda point: point[0],
        )
    drawn = [_curve(name, points, most) for name, points in series.items() if points]
    return drawn + [_thinned(name, *columns, most) for name, columns in steps.items()]


def of_update(db: Database, update_id: str, most: int) -> tuple[list[Curve], list[Curve]]:
    """Its curves by optimizer step, from 1, and by denoising step, the noisiest first."""
    with db.read() as session:
        found(session, Update, update_id)
        row = session.get(UpdateCurves, update_id)
    return ([], []) if row is None else (_by_step(row, most), _by_timestep(row))


def newest_by_timestep(db: Database, project_id: str) -> list[Curve]:
    """Curves by denoising step of the newest update that has them."""
    wanted = select(UpdateCurves).join(Update, Update.id == UpdateCurves.update_id)
    newest = wanted.where(Update.project_id == project_id).order_by(Update.number.desc()).limit(1)
    with db.read() as session:
        row = session.scalars(newest).one_or_none()
    return [] if row is None else _by_timestep(row)


def thin(values: Sequence[float], most: int) -> list[int]:
    """Which points to keep, `most` at most: the ends, and each bucket's lowest and highest."""
    count = len(values)
    if count <= most:
        return [*range(count)]
    size = ceil(count / ((most - 2) // 2))
    buckets = np.pad(values, (0, -count % size), mode="edge").reshape(-1, size)
    starts = np.arange(0, count, size)
    ends = ([0, count - 1], starts + buckets.argmin(1), starts + buckets.argmax(1))
    return [int(i) for i in np.unique(np.concatenate(ends).clip(max=count - 1))]


def _curve(name: str, points: Sequence[tuple[float, Estimate]], most: int) -> Curve:
    shown = [points[i] for i in thin([estimate.value for _, estimate in points], most)]
    return Curve(name, len(points), [_point(x, estimate) for x, estimate in shown])


def _point(x: float, estimate: Estimate) -> Point:
    return Point(x, estimate.value, *(estimate.interval() or ()))


def _thinned(name: str, xs: Sequence[float], values: Sequence[float], most: int) -> Curve:
    return Curve(name, len(xs), [Point(xs[i], values[i]) for i in thin(values, most)])


def _metrics(
    session: Session, project_id: str
) -> tuple[dict[str, int], list[tuple[int, dict[str, Any]]]]:
    """Numbers by id, and each number with its version's metrics, in order."""
    columns = select(Version.id, Version.number, Version.metrics)
    ours = columns.where(Version.project_id == project_id).order_by(Version.number)
    rows = session.execute(ours).all()
    return {row.id: row.number for row in rows}, [(row.number, row.metrics) for row in rows]


def _measured(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Series:
    """What the probe wall and the last optimizer step left in the versions' metrics."""
    series: Series = defaultdict(list)
    for number, metrics in rows:
        for source, found_ in metrics.get("probe", {}).items():
            known = _Known(found_["mean"], (found_["low"], found_["high"]))
            series[f"probe/{source}"].append((number, known))
        for name, value in metrics.get("looks", {}).items():
            series[f"looks/{name}"].append((number, _Known(value)))
        for name in ("policy/kl_to_base", "reward/advantage_spread"):
            if name in metrics:
                series[name].append((number, _Known(metrics[name])))
    return dict(series)


def _human_means(session: Session, project_id: str) -> Series:
    """By gesture: mean reward per judgement, excluded raters left out."""
    judged = (
        select(Version.number, Rating.mode, func.avg(Reward.value).label("reward"))
        .join(Group, Group.version_id == Version.id)
        .join(Rating, Rating.group_id == Group.id)
        .join(Rater, Rater.id == Rating.rater_id)
        .join(Reward, Reward.sequence == Rating.sequence)
        .where(Version.project_id == project_id, Group.kind == "group")
        .where(Rating.status == "active", Rating.mode.in_(POINTWISE), Rater.excluded.is_(False))
        .where(Reward.mapping_version == MAPPING_VERSION)
        .group_by(Version.number, Rating.mode, Rating.sequence)
        .order_by(Version.number)
    )
    values: dict[tuple[str, int], list[float]] = defaultdict(list)
    for row in session.execute(judged):
        values[row.mode, row.number].append(float(row.reward))
    series: Series = defaultdict(list)
    for (mode, number), own in values.items():
        estimate: Estimate = Share.of(own) if mode == "good" else Mean.of(own)
        series[f"human/{mode}"].append((number, estimate))
    return dict(series)


def _guarded(rows: Iterable[tuple[int, Mapping[str, Any]]], terms: Revision) -> Series:
    """How near each version is to the guard's limits: 0 as version 0, below -1 beyond one.

    The training reward is on the scale of the rewards that are not trained on.
    """
    figures = {n: Figures.from_values(m[FIGURES]) for n, m in rows if FIGURES in m}
    base = figures.get(0)
    series: Series = defaultdict(list)
    if base is None:
        return {}
    trained = [*terms.reward.sources()]
    for number, own in figures.items():
        known = [name for name in trained if name in own.rewards and name in base.rewards]
        if known:
            risen = fmean(rise(name, base, own, base) for name in known)
            series["guard/training"].append((number, _Known(risen / terms.config.guard_reward)))
        for name, strain in strains(own, base, trained, terms.config).items():
            series[f"guard/{name}"].append((number, _Known(0.0 - strain)))
    return dict(series)


def _steps(session: Session, project_id: str) -> dict[str, tuple[list[float], list[float]]]:
    """By metric: (xs, values) of every optimizer step; an update's last one is at its version."""
    wanted = (
        select(Version.number, UpdateCurves.steps)
        .join(UpdateCurves, UpdateCurves.update_id == Version.update_id)
        .where(Version.project_id == project_id)
        .order_by(Version.number)
    )
    columns: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for number, steps in session.execute(wanted):
        for name, values in steps.items():
            xs, kept = columns[f"step/{name}"]
            taken = [i for i, value in enumerate(values, 1) if value is not None]
            xs += [number - 1 + i / len(values) for i in taken]
            kept += [values[i - 1] for i in taken]
    return dict(columns)


def _by_step(row: UpdateCurves, most: int) -> list[Curve]:
    curves = []
    for name, values in row.steps.items():
        taken = [(float(i), value) for i, value in enumerate(values, 1) if value is not None]
        xs, kept = [x for x, _ in taken], [value for _, value in taken]
        curves.append(_thinned(f"step/{name}", xs, kept, most))
    return curves


def _by_timestep(row: UpdateCurves) -> list[Curve]:
    return [
        Curve(
            f"timestep/{name}",
            len(values),
            [Point(float(i), value) for i, value in enumerate(values, 1) if value is not None],
        )
        for name, values in row.timesteps.items()
        if name != "timestep"
    ]
