"""Tables of what is done: updates, jobs, workers, schedules, leases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from loop_studio.storage.columns import JOB_KINDS, STATES, Base, new_id, now, one_of


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
    requested: Mapped[str | None] = mapped_column(String(16))  # "pause" or "stop", not yet obeyed
    phase: Mapped[str] = mapped_column(default="waiting")
    step: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int] = mapped_column(default=0)
    eta_s: Mapped[float | None]
    optimizer_steps: Mapped[int] = mapped_column(default=0)  # one, and there is something to keep
    samples_per_s: Mapped[float | None]
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)  # of the worker's process
    accelerator_bytes: Mapped[int | None] = mapped_column(BigInteger)
    group_count: Mapped[int] = mapped_column(default=0)
    rating_count: Mapped[int] = mapped_column(default=0)
    seed: Mapped[int] = mapped_column(BigInteger)
    source_scales: Mapped[dict[str, Any]] = mapped_column(default=dict)  # frozen at the claim
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    version_id: Mapped[str | None]
    retraining_id: Mapped[str | None]  # of a retraining: never made live by itself
    repeats_id: Mapped[str | None]  # then: the update whose groups it learns from again
    made_live: Mapped[bool] = mapped_column(default=False)
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None] = mapped_column(Text)
    notice: Mapped[str | None] = mapped_column(Text)  # why groups wait that it did not learn from
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
        one_of("status", STATES),
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


class UpdateLog(Base):
    """The last lines that the worker said about an update."""

    __tablename__ = "update_logs"

    update_id: Mapped[str] = mapped_column(ForeignKey("updates.id"), primary_key=True)
    lines: Mapped[list[str]]


class UpdateGroup(Base):
    """How late a group came to its update; written as the update begins, once."""

    __tablename__ = "update_groups"

    update_id: Mapped[str] = mapped_column(ForeignKey("updates.id"), primary_key=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id"), primary_key=True)
    lag: Mapped[int]  # updates between the group's version and the parent, along the tree
    staleness: Mapped[float]  # KL from the group's version to the parent, nats per step


class Retraining(Base):
    """A version made again without some ratings: updates in a row from a clean ancestor."""

    __tablename__ = "retrainings"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))  # what is made again
    ancestor_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    update_ids: Mapped[list[str]]  # what is repeated, in order
    left_out: Mapped[dict[str, Any]]  # {"ratings": [sequence, ..]}
    words: Mapped[str] = mapped_column(Text)  # "without ann"
    created_at: Mapped[datetime] = mapped_column(default=now)


class UpdateCurves(Base):
    """What an update measured on its way, in columns; written as it is published, once."""

    __tablename__ = "update_curves"

    update_id: Mapped[str] = mapped_column(ForeignKey("updates.id"), primary_key=True)
    steps: Mapped[dict[str, Any]]  # metric -> a value or null per optimizer step
    timesteps: Mapped[dict[str, Any]]  # metric -> a value per denoising step; "timestep" itself


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
        one_of("kind", JOB_KINDS),
        one_of("state", STATES),
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
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)  # of its process, at the last beat
    accelerator_bytes: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(default=now)
    heartbeat_at: Mapped[datetime] = mapped_column(default=now)
    computed_at: Mapped[datetime | None]  # the accelerator was last seen to work

    __table_args__ = (one_of("state", ("starting", "ready", "busy", "stopped", "lost")),)


class Schedule(Base):
    """Something the clock enqueues when `next_run_at` has come; advanced by compare-and-swap."""

    __tablename__ = "schedules"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(16))  # "update" or a job kind
    cron: Mapped[str]  # Unix meaning: 0 and 7 are Sunday
    enabled: Mapped[bool] = mapped_column(default=True)
    next_run_at: Mapped[datetime]
    last_run_at: Mapped[datetime | None]  # the date that it last ran for, not the moment
    last_outcome: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Lease(Base):
    """Held by one process at a time: the clock, the worker of a device and data folder."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    until: Mapped[datetime]
