"""Tables of the whole studio: who changed what, and whether there is room on the disk."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from loop_studio.storage.columns import Base, now


class AuditEntry(Base):
    """One change that someone made. Append-only; it outlives the project and the rater it names.

    A rater is named by id alone, so that the name is gone once the rater's data is removed.
    """

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(32))  # an audit.Action
    project_id: Mapped[str | None] = mapped_column(index=True)
    rater_id: Mapped[str | None]
    sentence: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Room(Base):
    """One row: why no group is made for want of room, as a sentence; empty while there is room."""

    __tablename__ = "room"

    id: Mapped[int] = mapped_column(primary_key=True)
    sentence: Mapped[str] = mapped_column(Text)
