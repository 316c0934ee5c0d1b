"""Blind pairs: a version against the one it came from, on the same prompt, seed and settings.

The opponent is the parent, not the base: a win rate then says what one update did, and it is the
question that promotion asks. A pair is one observation however many raters judged it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from statistics import fmean

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from loop_studio.shares import Share
from loop_studio.storage.database import Database, batched, found
from loop_studio.storage.projects import Revision
from loop_studio.storage.refilling import (
    NO_HUMAN_WEIGHT,
    ROLLOUT_PRIORITY,
    holders,
    next_prompts,
    open_groups,
    paused_reason,
)
from loop_studio.storage.schema import Group, Job, Project, Rater, Rating, Version, now
from loop_studio.storage.worth import best, images_of

_RETRY = timedelta(minutes=10)  # after a pair that could not be made


def candidate(session: Session, project: Project) -> Version | None:
    """The version that waits to be preferred to the live one, if any."""
    wanted = select(Version).where(
        Version.project_id == project.id,
        Version.awaits_pairs,
        Version.parent_id == project.live_version_id,
    )
    return session.scalars(wanted.order_by(Version.number.desc()).limit(1)).one_or_none()


def contest(session: Session, project: Project) -> tuple[Version, Version] | None:
    """The version whose pairs are served now and its opponent; None while the base stands alone."""
    tested = candidate(session, project)
    if tested is None:
        tested = found(session, Version, project.live_version_id or "")
    if tested.parent_id is None:
        return None
    return tested, found(session, Version, tested.parent_id)


def open_to_one(project_id: str, tested: Version) -> list[ColumnElement[bool]]:
    """Pairs that nobody has judged: whatever the overlap, another pair says more than a second
    rater on the same one.
    """
    return [*open_groups(project_id, 1, "pair"), Group.version_id == tested.id]


def refill(session: Session, project: Project, revision: Revision) -> None:
    """Ask for pairs ahead of the raters, as many to a buffer of groups as the settings say."""
    share = revision.config.pair_share
    if not share or paused_reason(session, project, revision) not in {"", NO_HUMAN_WEIGHT}:
        return
    rivals = contest(session, project)
    if rivals is None or _failed_lately(session, project.id):
        return
    tested, opponent = rivals
    free = (*open_to_one(project.id, tested), holders() < 1)
    ready = session.scalar(select(func.count()).select_from(Group).where(*free)) or 0
    lacking = ceil(share * revision.config.buffer_groups) - ready - _pending(session, project.id)
    for prompt_id in next_prompts(session, project.id, max(0, lacking)):
        rival_ids = {"version_id": tested.id, "opponent_id": opponent.id}
        session.add(
            Job(
                kind="samples",
                project_id=project.id,
                payload={"prompt_id": prompt_id, **rival_ids},
                priority=ROLLOUT_PRIORITY,  # in turn with the rollouts: they are served together
            )
        )
        session.flush()


def win_rates(db: Database, project_id: str) -> Mapping[str, Share]:
    """By version id: wins and half the ties against its parent, excluded raters left out."""
    with db.read() as session:
        return _win_rates(session, project_id)


def win_rate(session: Session, version: Version) -> Share:
    """One version's win rate against its parent."""
    rates = _win_rates(session, version.project_id, version.id)
    return rates.get(version.id, Share(0, 0))


def _win_rates(
    session: Session, project_id: str, version_id: str | None = None
) -> Mapping[str, Share]:
    judged = (
        select(Rating, Group.version_id)
        .join(Group, Group.id == Rating.group_id)
        .join(Rater, Rater.id == Rating.rater_id)
        .where(Group.project_id == project_id, Group.kind == "pair", Group.judged_by > 0)
        .where(Rating.status == "active", Rating.mode != "skip", Rater.excluded.is_(False))
    )
    if version_id is not None:
        judged = judged.where(Group.version_id == version_id)
    points: dict[tuple[str, str], list[float]] = defaultdict(list)
    for some in batched(session.execute(judged).all()):
        images = images_of(session, [rating.group_id for rating, _ in some])
        for rating, version in some:
            point = _point(rating, images[rating.group_id])
            if point is not None:
                points[version, rating.group_id].append(point)
    by_version: dict[str, list[float]] = defaultdict(list)
    for (version, _), of_pair in points.items():
        by_version[version].append(fmean(of_pair))
    return {version: Share.of(parts) for version, parts in by_version.items()}


def _point(rating: Rating, images: list[str]) -> float | None:
    """1: the version won; 0: its opponent did; a half: both are equal; None: not both judged."""
    if any(rating.judgement.get(image) is None for image in images):
        return None
    winner = best(rating, images)
    return float(0 in winner) if winner else 0.5


def _of_pairs(project_id: str) -> tuple[ColumnElement[bool], ...]:
    opponent = Job.payload["opponent_id"].as_string()
    return Job.project_id == project_id, Job.kind == "samples", opponent.is_not(None)


def _pending(session: Session, project_id: str) -> int:
    waiting = (*_of_pairs(project_id), Job.state.in_(("queued", "running")))
    return session.scalar(select(func.count()).select_from(Job).where(*waiting)) or 0


def _failed_lately(session: Session, project_id: str) -> bool:
    failed = (*_of_pairs(project_id), Job.state == "failed", Job.finished_at > now() - _RETRY)
    return session.scalar(select(Job.id).where(*failed).limit(1)) is not None
