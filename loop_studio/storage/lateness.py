"""How late the groups of an update came: made by an older version, or by one of another branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from loop_studio.storage.database import Database
from loop_studio.storage.schema import Group, Update, UpdateGroup


@dataclass(frozen=True)
class Lateness:
    """Of the late groups of one update."""

    groups: int = 0
    lag: int = 0  # the most updates between a group's version and the update's parent
    staleness: float = 0.0  # the largest KL between the two, nats per denoising step


def record_lateness(db: Database, update: Update, group: Group, lag: int, staleness: float) -> None:
    """Write down how late a group came; what an update that was resumed has written stays."""
    with db.write() as session:
        if session.get(UpdateGroup, (update.id, group.id)) is None:
            session.add(
                UpdateGroup(update_id=update.id, group_id=group.id, lag=lag, staleness=staleness)
            )


def lateness(db: Database, update_ids: Sequence[str]) -> dict[str, Lateness]:
    """By update id; updates on time alone are left out."""
    wanted = (
        select(
            UpdateGroup.update_id,
            func.count(),
            func.max(UpdateGroup.lag),
            func.max(UpdateGroup.staleness),
        )
        .where(UpdateGroup.update_id.in_(update_ids), UpdateGroup.lag > 0)
        .group_by(UpdateGroup.update_id)
    )
    with db.read() as session:
        return {row[0]: Lateness(*row[1:]) for row in session.execute(wanted)}
