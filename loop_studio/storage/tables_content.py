"""Tables of what people may see and what they agreed to: reports and consent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from loop_studio.storage.columns import Base, new_id, now, one_of


class Report(Base):
    """A rater's report of a picture: hidden from everyone until someone decides."""

    __tablename__ = "reports"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), index=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id"))
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), default="open")
    created_at: Mapped[datetime] = mapped_column(default=now)
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("rater_id", "image_id"),
        Index("ix_reports_project", "project_id", "state"),
        one_of("state", ("open", "kept", "removed")),
    )


class ConsentText(Base):
    """What raters of a project are asked to agree to. Append-only; an empty text asks nobody."""

    __tablename__ = "consent_texts"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("project_id", "number"),)


class Consent(Base):
    """A rater agreed to one version of the text, at that moment."""

    __tablename__ = "consents"

    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id"), primary_key=True)
    text_id: Mapped[str] = mapped_column(ForeignKey("consent_texts.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
