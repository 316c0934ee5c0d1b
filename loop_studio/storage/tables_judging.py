"""Tables of what is judged: groups, images, raters, ratings, rewards, scores."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from loop_studio.storage.columns import STATES, Base, new_id, now, one_of

_OPEN = "retired_reason IS NULL AND used_by_update_id IS NULL"  # groups that may be served
_TELLING = f"{_OPEN} AND informativeness > 0"
_PAIRS = "kind = 'pair'"


class Group(Base):
    """k images of one prompt by one version, with their trajectories.

    Or a repeat: the pictures of an earlier group, for the rater who judged it. Or a pair: the
    picture at position 0 is by `version_id`, the one at position 1 by `opponent_id`.
    """

    __tablename__ = "groups"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"))
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    revision_id: Mapped[str] = mapped_column(ForeignKey("settings_revisions.id"))
    kind: Mapped[str] = mapped_column(default="group")
    repeat_of_id: Mapped[str | None] = mapped_column(ForeignKey("groups.id"), index=True)
    opponent_id: Mapped[str | None] = mapped_column(ForeignKey("versions.id"))
    retired_reason: Mapped[str | None] = mapped_column(Text)  # None: may be served
    usable: Mapped[bool] = mapped_column(default=False)  # some judgement gives a signal
    judged_by: Mapped[int] = mapped_column(default=0)  # raters with an active judgement, no skip
    used_by_update_id: Mapped[str | None] = mapped_column(ForeignKey("updates.id"), index=True)
    # What a judgement of it would tell reward models that disagree, in nats; 0 while none do.
    informativeness: Mapped[float] = mapped_column(default=0.0)
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
        Index(
            "ix_groups_telling",
            "project_id",
            "version_id",
            "informativeness",
            "id",
            sqlite_where=text(_TELLING),
            postgresql_where=text(_TELLING),
        ),
        Index(
            "ix_groups_lottery",
            "project_id",
            "version_id",
            "id",
            sqlite_where=text(_OPEN),
            postgresql_where=text(_OPEN),
        ),
        Index(
            "ix_groups_pairs",
            "project_id",
            "version_id",
            "judged_by",
            sqlite_where=text(_PAIRS),
            postgresql_where=text(_PAIRS),
        ),
        Index("ix_groups_recent", "project_id", "created_at"),
        Index("ix_groups_usable", "project_id", "usable", "used_by_update_id", "created_at"),
        one_of("kind", ("group", "repeat", "pair")),
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

    __table_args__ = (one_of("status", STATES), one_of("kind", ("request", "probe")))


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
    sensitive: Mapped[bool | None]  # the safety checker's verdict; None: none has looked at it
    # Why nobody is shown it, a word of content.Withheld; then it also counts as not judged.
    withheld: Mapped[str | None] = mapped_column(String(16))
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
    removed_at: Mapped[datetime | None]  # their data is gone, the name too; see `forgetting`
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
    # Served without a look at what reward models think of it: such groups measure them fairly.
    at_random: Mapped[bool] = mapped_column(default=False)
    shown_at: Mapped[datetime] = mapped_column(default=now)
    held_until: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("group_id", "rater_id"),
        Index("ix_assignments_rater", "rater_id", "held_until"),
        Index(
            "ix_assignments_first",
            "rater_id",
            sqlite_where=text("first = 1"),
            postgresql_where=text("first"),
        ),
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
        Index("ix_ratings_rater", "rater_id", "status", "sequence"),
        Index("ix_ratings_project", "project_id", "status", "sequence"),
        one_of("status", ("active", "superseded", "undone")),
        one_of("mode", ("best", "stars", "good", "rank", "pair", "skip")),
    )


class Remark(Base):
    """What a rater says of a group beside judging it. Teaches nothing."""

    __tablename__ = "remarks"

    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id"), primary_key=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id"), primary_key=True)
    flagged: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class Favourite(Base):
    """A picture that a rater likes to find again. Teaches nothing."""

    __tablename__ = "favourites"

    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


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
