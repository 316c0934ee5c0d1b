"""Two versions on the same prompts and seeds: the difference in every automatic reward."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean, stdev

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database
from loop_studio.storage.schema import Image, Samples, Score
from loop_studio.storage.tree import present

_Cell = tuple[str, int]  # prompt and seed


@dataclass(frozen=True)
class Difference:
    """One reward's mean on each version's probe wall, and the mean of the paired differences."""

    source: str
    n: int
    first: float
    second: float
    mean: float  # second minus first, picture by picture
    low: float  # 95 % interval
    high: float


def differences(db: Database, first_id: str, second_id: str) -> list[Difference]:
    """Every reward that has scored two or more of the same pictures of both, by name."""
    with db.read() as session:
        first = _scores(session, present(session, first_id).id)
        second = _scores(session, present(session, second_id).id)
    told = []
    for source in sorted(first.keys() & second.keys()):
        cells = sorted(first[source].keys() & second[source].keys())
        if len(cells) >= 2:
            told.append(
                _difference(
                    source[0],
                    [first[source][cell] for cell in cells],
                    [second[source][cell] for cell in cells],
                )
            )
    return told


def _difference(source: str, first: list[float], second: list[float]) -> Difference:
    paired = [after - before for before, after in zip(first, second, strict=True)]
    mean, half = fmean(paired), 1.96 * stdev(paired) / len(paired) ** 0.5
    return Difference(
        source=source,
        n=len(paired),
        first=fmean(first),
        second=fmean(second),
        mean=mean,
        low=mean - half,
        high=mean + half,
    )


def _scores(session: Session, version_id: str) -> dict[tuple[str, str], dict[_Cell, float]]:
    """Scores of a version's probe wall by (source, its version), then by prompt and seed."""
    wanted = (
        select(Score, Image.prompt, Image.seed)
        .join(Image, Image.id == Score.image_id)
        .join(Samples, Samples.id == Image.samples_id)
        .where(Samples.version_id == version_id, Samples.kind == "probe")
    )
    by_source: dict[tuple[str, str], dict[_Cell, float]] = defaultdict(dict)
    for score, prompt, seed in session.execute(wanted):
        by_source[score.source, score.source_version][prompt, seed] = score.value
    return by_source
