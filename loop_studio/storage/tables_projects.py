"""Tables of what a project is: settings, prompts, versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from loop_studio.storage.columns import Base, new_id, now


class Project(Base):
    """A model, prompts, settings, raters and the tree of versions."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    model: Mapped[str] = mapped_column(Text)  # "starter", a folder or a hub id
    model_revision: Mapped[str | None] = mapped_column(String(64))  # commit of a hub id, once known
    archived: Mapped[bool] = mapped_column(default=False)
    guidelines: Mapped[str] = mapped_column(Text, default="", server_default="")  # for raters
    live_version_id: Mapped[str | None]  # compare-and-swapped by updates
    revision_id: Mapped[str | None]  # the settings revision in force
    active_until: Mapped[datetime | None]  # refilled until then
    # Why no group could be made of late, as a sentence; until it is mended none is asked for.
    generation_error: Mapped[str | None] = mapped_column("model_error", Text)
    created_at: Mapped[datetime] = mapped_column(default=now)


class SettingsRevision(Base):
    """Append-only: what the settings and the reward weights were, for ever."""

    __tablename__ = "settings_revisions"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    number: Mapped[int]
    values: Mapped[dict[str, Any]]  # ProjectConfig.values()
    reward: Mapped[dict[str, Any]]  # {"human": 1.0, "models": {"clip_score": 0.0}}
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("project_id", "number"),)


class Prompt(Base):
    """A prompt of a project; taking it off the list keeps it with its groups."""

    __tablename__ = "prompts"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    text: Mapped[str] = mapped_column(Text)
    unknown_words: Mapped[list[str]]
    active: Mapped[bool] = mapped_column(default=True)
    position: Mapped[int]
    turns: Mapped[int] = mapped_column(default=0)  # groups asked for so far: fewest goes next
    created_at: Mapped[datetime] = mapped_column(default=now)


class Version(Base):
    """A published LoRA; number 0 is the untouched base. Versions form a tree."""

    __tablename__ = "versions"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    number: Mapped[int]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("versions.id"))
    update_id: Mapped[str | None]
    name: Mapped[str | None] = mapped_column(String(200))
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    awaits_pairs: Mapped[bool] = mapped_column(default=False)  # goes live once they prefer it
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    pinned: Mapped[bool] = mapped_column(default=False, server_default=false())
    kept: Mapped[bool] = mapped_column(default=False, server_default=false())  # can be made again
    deleted_at: Mapped[datetime | None]  # its files are gone; the row stays for what names it
    # What the guard found, as sentences; someone decides whether it may be live all the same.
    concerns: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    awaits_decision: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("project_id", "number"),)


class VersionFile(Base):
    """A file of a version: `resume`, `diffusers` or `kohya`."""

    __tablename__ = "version_files"

    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
