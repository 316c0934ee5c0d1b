"""Raw outputs of reward models, kept with their source and its version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from math import sqrt
from statistics import fmean

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database
from loop_studio.storage.schema import Group, Image, Score


def put(db: Database, scores: Iterable[tuple[str, str, str, float]]) -> None:
    """Store (image id, source, source version, value); a score that is known stays as it is."""
    with db.write() as session:
        for image_id, source, source_version, value in scores:
            key = (image_id, source, source_version)
            if session.get(Score, key) is None:
                session.add(
                    Score(
                        image_id=image_id,
                        source=source,
                        source_version=source_version,
                        value=value,
                    )
                )


def of_images(
    db: Database, image_ids: Sequence[str], source: str, source_version: str
) -> dict[str, float]:
    """Known scores of these images by one version of a source."""
    with db.read() as session:
        wanted = select(Score.image_id, Score.value).where(
            Score.image_id.in_(image_ids),
            Score.source == source,
            Score.source_version == source_version,
        )
        return {row.image_id: row.value for row in session.execute(wanted)}


def latest_by_source(
    db: Database, image_ids: Sequence[str], sources: Collection[str]
) -> dict[str, dict[str, float]]:
    """What each source said last of these images, whatever its version, by source and image."""
    wanted = select(Score).where(Score.image_id.in_(image_ids), Score.source.in_(sources))
    found: dict[str, dict[str, float]] = defaultdict(dict)
    with db.read() as session:
        for score in session.scalars(wanted.order_by(Score.created_at)):
            found[score.source][score.image_id] = score.value
    return found


def within_group_sd(
    db: Database,
    project_id: str,
    source: str,
    source_version: str,
    groups: int = 200,
    least: int = 16,
) -> float | None:
    """Pooled within-group standard deviation over the last `groups` scored groups.

    sqrt(sum of squared deviations from each group's own mean / degrees of freedom); None below
    `least` groups with two scores or more.
    """
    with db.read() as session:
        scored = _last_scored(session, project_id, source, source_version, groups)
    scored = [values for values in scored if len(values) >= 2]
    if len(scored) < least:
        return None
    squares = sum((value - fmean(values)) ** 2 for values in scored for value in values)
    return sqrt(squares / sum(len(values) - 1 for values in scored))


def _last_scored(
    session: Session, project_id: str, source: str, source_version: str, groups: int
) -> list[list[float]]:
    by_source = (Score.source == source, Score.source_version == source_version)
    has_scores = (
        select(Image.id)
        .join(Score, Score.image_id == Image.id)
        .where(Image.group_id == Group.id, *by_source)
        .exists()
    )
    last = (
        select(Group.id)
        .where(Group.project_id == project_id, has_scores)
        .order_by(Group.created_at.desc())
        .limit(groups)
    )
    rows = session.execute(
        select(Image.group_id, Score.value)
        .join(Score, Score.image_id == Image.id)
        .where(Image.group_id.in_(last.scalar_subquery()), *by_source)
    )
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        values[row.group_id].append(row.value)
    return list(values.values())
