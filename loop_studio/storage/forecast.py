"""What the next update would use, told before it is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import Revision, revision_of
from loop_studio.storage.schema import Group, Project, Rating, Update, Version
from loop_studio.storage.update_inputs import waiting_groups

SPEED = "time/seconds_per_sample/"  # and the kind of pass: metrics of an update
_PAST = 5  # updates whose speed counts


@dataclass(frozen=True)
class Forecast:
    """The next update; seconds and bytes are unknown before the first one."""

    from_version: int
    groups: int
    ratings: int
    left_over: int  # usable groups beyond the most that one update takes
    to_make: int  # groups that it makes first, with automatic rewards only
    past_updates: int
    seconds: float | None
    memory_bytes: int | None
    accelerator_bytes: int | None


def forecast(db: Database, project_id: str) -> Forecast:
    """What an update that starts now would use, and about how long it would take."""
    with db.read() as session:
        project = found(session, Project, project_id)
        revision = revision_of(session, project)
        waiting = session.scalars(waiting_groups(project_id, revision)).all()
        taken = waiting[: revision.config.max_groups_per_update]
        to_make = max(0, _wanted(revision) - len(taken))
        groups = len(taken) + to_make
        past = _past(session, project_id)
        speeds = [row.metrics["time/update_s"] / row.group_count for row in past]
        return Forecast(
            from_version=found(session, Version, project.live_version_id or "").number,
            groups=groups,
            ratings=0 if revision.reward.automatic_only else _count_ratings(session, taken),
            left_over=len(waiting) - len(taken),
            to_make=to_make,
            past_updates=len(past),
            seconds=median(speeds) * groups if speeds else None,
            memory_bytes=_most(past, "memory/process_bytes"),
            accelerator_bytes=_most(past, "memory/accelerator_bytes"),
        )


def past_speeds(db: Database, project_id: str) -> dict[str, float]:
    """Seconds per denoising step of every kind of pass, as of the project's last update."""
    with db.read() as session:
        past = _past(session, project_id)
    timed = past[0].metrics if past else {}
    return {name.removeprefix(SPEED): timed[name] for name in timed if name.startswith(SPEED)}


def _wanted(revision: Revision) -> int:
    """How many groups an update brings together by itself."""
    if not revision.reward.automatic_only:
        return 0
    config = revision.config
    return min(config.auto_update_groups or config.min_groups, config.max_groups_per_update)


def _count_ratings(session: Session, groups: Sequence[Group]) -> int:
    teaching = (Rating.group_id.in_([group.id for group in groups]), Rating.status == "active")
    return session.scalar(select(func.count()).where(*teaching, Rating.usable)) or 0


def _past(session: Session, project_id: str) -> list[Update]:
    """The newest updates that were timed."""
    done = (Update.project_id == project_id, Update.status == "succeeded", Update.group_count > 0)
    newest = select(Update).where(*done).order_by(Update.number.desc()).limit(_PAST)
    return [row for row in session.scalars(newest) if "time/update_s" in row.metrics]


def _most(past: Sequence[Update], name: str) -> int | None:
    return max((int(row.metrics[name]) for row in past if name in row.metrics), default=None)
