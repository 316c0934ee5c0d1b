"""The tables. Ids are opaque strings; numbers count per project; times are UTC; JSON is JSON.

Nothing here is ever deleted but files and their keys. Ratings and update inputs only grow.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

JOB_KINDS = ("rollout", "score", "update", "samples", "export", "check_model", "housekeeping")
STATES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
ACTIVE = ("queued", "running", "paused")


def new_id() -> str:
    """A random id: neither order nor version can be read from it."""
    return secrets.token_hex(10)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on every database; a naive one is refused at the door."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times must carry their zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite forgets the zone; give it back."""
        return value if value is None else value.replace(tzinfo=value.tzinfo or UTC)


_OPEN = "retired_reason IS NULL AND used_by_update_id IS NULL"  # groups that may be served


class Base(DeclarativeBase):
    """Declarative base with named constraints, so that batch migrations keep them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON,
        list[str]: JSON,
        datetime: UtcDateTime,
        str: String(255),
    }


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


class Project(Base):
    """A model, prompts, settings, raters and the tree of versions."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    model: Mapped[str] = mapped_column(Text)  # "starter", a folder or a hub id
    archived: Mapped[bool] = mapped_column(default=False)
    live_version_id: Mapped[str | None]  # compare-and-swapped by updates
    revision_id: Mapped[str | None]  # the settings revision in force
    active_until: Mapped[datetime | None]  # refilled until then
    model_error: Mapped[str | None] = mapped_column(Text)  # sentence of the last failed check
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


class Group(Base):
    """k images of one prompt by one version, with their trajectories."""

    __tablename__ = "groups"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"))
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    revision_id: Mapped[str] = mapped_column(ForeignKey("settings_revisions.id"))
    kind: Mapped[str] = mapped_column(default="group")
    retired_reason: Mapped[str | None] = mapped_column(Text)  # None: may be served
    usable: Mapped[bool] = mapped_column(default=False)  # some judgement gives a signal
    judged_by: Mapped[int] = mapped_column(default=0)  # raters with an active judgement, no skip
    used_by_update_id: Mapped[str | None] = mapped_column(ForeignKey("updates.id"), index=True)
    trajectory_key: Mapped[str | None]  # None once housekeeping has let the file go
    trajectory_sha256: Mapped[str | None]
    trajectory_size: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        Index(
            "ix_groups_open",
            "project_id",
            "version_id",
            "created_at",
            "judged_by",
            sqlite_where=text(_OPEN),
            postgresql_where=text(_OPEN),
        ),
        Index("ix_groups_recent", "project_id", "created_at"),
        Index("ix_groups_usable", "project_id", "usable", "used_by_update_id", "created_at"),
        _one_of("kind", ("group", "repeat", "pair")),
    )


class Samples(Base):
    """Images for looking and measuring: no group, no rating, no training."""

    __tablename__ = "samples"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), index=True)
    revision_id: Mapped[str] = mapped_column(ForeignKey("settings_revisions.id"))
    kind: Mapped[str] = mapped_column(default="request")  # or "probe": the version's probe wall
    status: Mapped[str] = mapped_column(default="queued")
    prompts: Mapped[list[str]]
    seeds: Mapped[dict[str, Any]]  # {"seeds": [..]}
    settings: Mapped[dict[str, Any]]  # overrides of the generation settings
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (_one_of("status", STATES), _one_of("kind", ("request", "probe")))


class Image(Base):
    """One PNG, of a group or of samples. `seed` reproduces it under its version and settings."""

    __tablename__ = "images"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    group_id: Mapped[str | None] = mapped_column(ForeignKey("groups.id"))
    samples_id: Mapped[str | None] = mapped_column(ForeignKey("samples.id"))
    position: Mapped[int]  # place in the trajectory file, or in the samples
    prompt: Mapped[str] = mapped_column(Text)
    seed: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int]
    height: Mapped[int]
    key: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        UniqueConstraint("group_id", "position"),
        UniqueConstraint("samples_id", "position"),
    )


class Rater(Base):
    """A person who judges, by name within a project."""

    __tablename__ = "raters"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(80))
    excluded: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("project_id", "name"),)


class Assignment(Base):
    """Who was shown which group, in which order, when; held for that rater until `held_until`."""

    __tablename__ = "assignments"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id"))
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id"))
    order: Mapped[list[str]]  # image ids as shown
    first: Mapped[bool] = mapped_column(default=False)  # undone: comes next
    shown_at: Mapped[datetime] = mapped_column(default=now)
    held_until: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("group_id", "rater_id"),
        Index("ix_assignments_rater", "rater_id", "held_until"),
    )


class Rating(Base):
    """One rating event: one rater's raw gesture on one group. Superseded, never deleted."""

    __tablename__ = "ratings"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)  # arrival order
    event_id: Mapped[str] = mapped_column(String(64), unique=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id"))
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id"))
    mode: Mapped[str] = mapped_column(String(16))
    judgement: Mapped[dict[str, Any]]  # {image_id: number | null}, raw
    order: Mapped[list[str] | None]
    elapsed_ms: Mapped[int | None]
    content_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), default="active")
    usable: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    used_by_update_id: Mapped[str | None] = mapped_column(ForeignKey("updates.id"))
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        Index("ix_ratings_group_rater", "group_id", "rater_id", "status"),
        Index("ix_ratings_rater", "rater_id", "status", "group_id"),
        Index("ix_ratings_project", "project_id", "status", "sequence"),
        _one_of("status", ("active", "superseded", "undone")),
        _one_of("mode", ("best", "stars", "good", "rank", "pair", "skip")),
    )


class Reward(Base):
    """A reward derived from a rating by a versioned mapping; re-derivable at any time."""

    __tablename__ = "rewards"

    sequence: Mapped[int] = mapped_column(ForeignKey("ratings.sequence"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    mapping_version: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[float]


class Score(Base):
    """Raw output of a reward model for one image."""

    __tablename__ = "scores"

    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    source_version: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Update(Base):
    """One training from version to version."""

    __tablename__ = "updates"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    revision_id: Mapped[str] = mapped_column(ForeignKey("settings_revisions.id"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("versions.id"))  # set when it starts
    status: Mapped[str] = mapped_column(String(16), default="queued")
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    phase: Mapped[str] = mapped_column(default="waiting")
    step: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int] = mapped_column(default=0)
    eta_s: Mapped[float | None]
    group_count: Mapped[int] = mapped_column(default=0)
    rating_count: Mapped[int] = mapped_column(default=0)
    seed: Mapped[int] = mapped_column(BigInteger)
    source_scales: Mapped[dict[str, Any]] = mapped_column(default=dict)  # frozen at the claim
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    version_id: Mapped[str | None]
    made_live: Mapped[bool] = mapped_column(default=False)
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        Index(
            "uq_updates_one_active",
            "project_id",
            unique=True,
            sqlite_where=text("status IN ('queued', 'running', 'paused')"),
            postgresql_where=text("status IN ('queued', 'running', 'paused')"),
        ),
        _one_of("status", STATES),
    )


class UpdateInput(Base):
    """Exactly what an update used, one row per (image, source, rater). Never changed afterwards.

    `rater_id` and `rating_sequence` are null for automatic sources.
    """

    __tablename__ = "update_inputs"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    update_id: Mapped[str] = mapped_column(ForeignKey("updates.id"), index=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id"))
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"))
    source: Mapped[str] = mapped_column(String(64))  # "human" or a reward model's name
    rater_id: Mapped[str | None] = mapped_column(ForeignKey("raters.id"))
    rating_sequence: Mapped[int | None] = mapped_column(ForeignKey("ratings.sequence"))
    mode: Mapped[str] = mapped_column(String(16))  # the gesture, or "score"
    reward: Mapped[float]  # on the source's own scale
    source_weight: Mapped[float]  # project weight / frozen scale of the source
    advantage: Mapped[float]  # already multiplied by source_weight
    lag: Mapped[int]  # updates between the group's version and the parent, along the tree


class Job(Base):
    """A unit of work in the queue."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(16))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    update_id: Mapped[str | None] = mapped_column(ForeignKey("updates.id"), index=True)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    priority: Mapped[int] = mapped_column(default=0)  # higher first
    dedupe_key: Mapped[str | None] = mapped_column(unique=True)
    state: Mapped[str] = mapped_column(String(16), default="queued")
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    worker_id: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    phase: Mapped[str] = mapped_column(default="waiting")
    step: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int] = mapped_column(default=0)
    progress_at: Mapped[datetime | None]
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None] = mapped_column(Text)  # the sentence for people
    error_log: Mapped[str | None] = mapped_column(Text)  # the traceback
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_jobs_queue", "state", "priority", "created_at"),
        Index("ix_jobs_project", "project_id", "kind", "state"),
        _one_of("kind", JOB_KINDS),
        _one_of("state", STATES),
    )


class Worker(Base):
    """A worker process, past or present."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    device: Mapped[str]
    pid: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="starting")
    last_words: Mapped[str | None] = mapped_column(Text)  # last sentence of the log when lost
    rollout_s: Mapped[float | None]  # running mean seconds per group, for the ETA
    started_at: Mapped[datetime] = mapped_column(default=now)
    heartbeat_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (_one_of("state", ("starting", "ready", "busy", "stopped", "lost")),)


class Schedule(Base):
    """Something the clock enqueues when `next_run_at` has come; advanced by compare-and-swap."""

    __tablename__ = "schedules"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(16))  # "update" or a job kind
    cron: Mapped[str]  # Unix meaning: 0 and 7 are Sunday
    enabled: Mapped[bool] = mapped_column(default=True)
    next_run_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Lease(Base):
    """Held by one process at a time: the clock, the worker of a device and data folder."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    until: Mapped[datetime]
