"""What browsers measure of themselves: counted in buckets per day, so that rows stay few.

Three latencies in milliseconds, and two counters. Nothing tells who measured them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from loop_studio.storage.database import Database, changed
from loop_studio.storage.schema import ClientFigure, now

LATENCIES = ("key_to_paint", "rating_to_durable", "wait_for_group")
COUNTERS = ("outbox_retries", "lost_events")
BOUNDS_MS = (
    0, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 750,
    1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 20_000, 60_000,
)  # fmt: skip
KEPT = timedelta(days=90)
_Row = tuple[str, int]  # name and bucket


@dataclass(frozen=True)
class Percentiles:
    """One latency on one day, read from its buckets."""

    day: date
    name: str
    count: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Totals:
    """One latency since figures are kept: observations by bucket, and the sum of all."""

    counts: tuple[int, ...]  # one more than BOUNDS_MS: the last is beyond them all
    total_ms: int


def record(
    db: Database, latencies: Mapping[str, Sequence[float]], counters: Mapping[str, int]
) -> None:
    """Count what one browser reports."""
    counts: Counter[_Row] = Counter({(name, 0): count for name, count in counters.items()})
    sums: Counter[_Row] = Counter()
    for name, values in latencies.items():
        for value in values:
            row = (name, bisect_left(BOUNDS_MS, value))
            counts[row] += 1
            sums[row] += round(value)
    try:
        _add(db, counts, sums)
    except IntegrityError:  # another process made the day's first row meanwhile
        _add(db, counts, sums)


def by_day(db: Database, days: int = 14) -> list[Percentiles]:
    """Median and 95th percentile of every latency on each of the last days, oldest first."""
    first = now().date() - timedelta(days=days - 1)
    with db.read() as session:
        wanted = select(ClientFigure).where(
            ClientFigure.day >= first, ClientFigure.name.in_(LATENCIES)
        )
        buckets: dict[tuple[date, str], list[int]] = defaultdict(_empty)
        for row in session.scalars(wanted):
            buckets[row.day, row.name][row.bucket] += row.count
    return [
        Percentiles(day, name, sum(counts), percentile(counts, 0.5), percentile(counts, 0.95))
        for (day, name), counts in sorted(buckets.items())
    ]


def totals(db: Database) -> tuple[dict[str, Totals], dict[str, int]]:
    """Every latency and every counter over all days."""
    per_bucket = select(
        ClientFigure.name,
        ClientFigure.bucket,
        func.sum(ClientFigure.count),
        func.sum(ClientFigure.total_ms),
    ).group_by(ClientFigure.name, ClientFigure.bucket)
    counts: dict[str, list[int]] = defaultdict(_empty)
    sums: Counter[str] = Counter()
    with db.read() as session:
        for name, bucket, count, total_ms in session.execute(per_bucket):
            counts[name][bucket] += int(count)
            sums[name] += int(total_ms)
    latencies = {name: Totals(tuple(counts[name]), sums[name]) for name in LATENCIES}
    return latencies, {name: counts[name][0] for name in COUNTERS}


def percentile(counts: Sequence[int], share: float) -> float:
    """The value in ms below which `share` of the observations lie, straight within a bucket."""
    wanted, below = share * sum(counts), 0.0
    for bucket, count in enumerate(counts):
        if count and below + count >= wanted:
            low = BOUNDS_MS[bucket - 1] if bucket else 0
            high = BOUNDS_MS[bucket] if bucket < len(BOUNDS_MS) else low
            return low + (high - low) * (wanted - below) / count
        below += count
    return 0.0


def _add(db: Database, counts: Mapping[_Row, int], sums: Mapping[_Row, int]) -> None:
    day = now().date()
    with db.write() as session:
        for (name, bucket), count in counts.items():
            if not count:
                continue
            row = session.get(ClientFigure, (day, name, bucket), with_for_update=True)
            if row is None:
                row = ClientFigure(day=day, name=name, bucket=bucket, count=0, total_ms=0)
                session.add(row)
                changed(session, delete(ClientFigure).where(ClientFigure.day < day - KEPT))
            row.count += count
            row.total_ms += sums.get((name, bucket), 0)


def _empty() -> list[int]:
    return [0] * (len(BOUNDS_MS) + 1)
