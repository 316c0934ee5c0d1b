"""Tables of rewards that are learned from ratings, and of autopilots, which need no rating."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from loop_studio.storage.columns import Base, new_id, now, one_of


class ImageFeatures(Base):
    """What an extractor sees in one picture beside its prompt: float16, little-endian."""

    __tablename__ = "image_features"

    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    extractor: Mapped[str] = mapped_column(String(64), primary_key=True)
    vector: Mapped[bytes]


class RewardFit(Base):
    """One attempt to learn a reward from a project's ratings. Without a file it came to nothing."""

    __tablename__ = "reward_fits"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    key: Mapped[str | None]  # its file; null: the ratings did not tell enough
    sha256: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    last_sequence: Mapped[int | None] = mapped_column(ForeignKey("ratings.sequence"))  # then
    ratings: Mapped[int]  # judgements it learned from
    groups: Mapped[int]
    validation: Mapped[dict[str, Any]]  # accuracy, low, high, groups, bins
    contributes: Mapped[bool] = mapped_column(default=False)
    sentence: Mapped[str] = mapped_column(Text)  # what stands in its way; empty: nothing
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("project_id", "number"),)


class Autopilot(Base):
    """Updates one after another on rewards that need nobody, until a budget is spent."""

    __tablename__ = "autopilots"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    state: Mapped[str] = mapped_column(String(16), default="running")
    most_updates: Mapped[int | None]
    most_minutes: Mapped[float | None]
    reward_goal: Mapped[float | None]
    updates: Mapped[int] = mapped_column(default=0)  # succeeded so far
    seconds: Mapped[float] = mapped_column(default=0.0)  # flown so far; pauses do not count
    reward: Mapped[float | None]  # mean score of the groups of its last update
    update_id: Mapped[str | None] = mapped_column(ForeignKey("updates.id"))  # the one it waits for
    sentence: Mapped[str] = mapped_column(Text, default="")  # why it is not running
    looked_at: Mapped[datetime] = mapped_column(default=now)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        Index(
            "uq_autopilots_one_open",
            "project_id",
            unique=True,
            sqlite_where=text("state IN ('running', 'paused')"),
            postgresql_where=text("state IN ('running', 'paused')"),
        ),
        one_of("state", ("running", "paused", "finished", "stopped")),
    )
