"""The whole first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ACTIVE = sa.text("status IN ('queued', 'running', 'paused')")
_OPEN = sa.text("retired_reason IS NULL AND used_by_update_id IS NULL")


def _string(name: str, length: int = 255, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _int(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _big(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _float(name: str, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=nullable)


def _bool(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _json(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=nullable)


def _time(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}")


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}_known"))


def upgrade() -> None:
    _create_leases()
    _create_projects()
    _create_workers()
    _create_prompts()
    _create_raters()
    _create_schedules()
    _create_settings_revisions()
    _create_versions()
    _create_samples()
    _create_updates()
    _create_version_files()
    _create_groups()
    _create_jobs()
    _create_assignments()
    _create_images()
    _create_ratings()
    _create_rewards()
    _create_scores()
    _create_update_inputs()


def downgrade() -> None:
    for table in (
        "update_inputs",
        "scores",
        "rewards",
        "ratings",
        "images",
        "assignments",
        "jobs",
        "groups",
        "version_files",
        "updates",
        "samples",
        "versions",
        "settings_revisions",
        "schedules",
        "raters",
        "prompts",
        "workers",
        "projects",
        "leases",
    ):
        op.drop_table(table)


def _create_leases() -> None:
    op.create_table(
        "leases",
        _string("name"),
        _string("holder"),
        _time("until"),
        _key("leases", "name"),
    )


def _create_projects() -> None:
    op.create_table(
        "projects",
        _string("id"),
        _string("name", 200),
        _text("model"),
        _bool("archived"),
        _string("live_version_id", nullable=True),
        _string("revision_id", nullable=True),
        _time("active_until", nullable=True),
        _text("model_error", nullable=True),
        _time("created_at"),
        _key("projects", "id"),
    )


def _create_workers() -> None:
    op.create_table(
        "workers",
        _string("id"),
        _string("device"),
        _int("pid"),
        _string("state", 16),
        _text("last_words", nullable=True),
        _float("rollout_s", nullable=True),
        _time("started_at"),
        _time("heartbeat_at"),
        _key("workers", "id"),
        _one_of("workers", "state", "starting", "ready", "busy", "stopped", "lost"),
    )


def _create_prompts() -> None:
    op.create_table(
        "prompts",
        _string("id"),
        _string("project_id"),
        _text("text"),
        _json("unknown_words"),
        _bool("active"),
        _int("position"),
        _int("turns"),
        _time("created_at"),
        _key("prompts", "id"),
        _refers("prompts", "project_id", "projects"),
    )
    op.create_index("ix_prompts_project_id", "prompts", ["project_id"])


def _create_raters() -> None:
    op.create_table(
        "raters",
        _string("id"),
        _string("project_id"),
        _string("name", 80),
        _bool("excluded"),
        _time("created_at"),
        _key("raters", "id"),
        _refers("raters", "project_id", "projects"),
        sa.UniqueConstraint("project_id", "name", name="uq_raters_project_id_name"),
    )


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        _string("id"),
        _string("project_id", nullable=True),
        _string("kind", 16),
        _string("cron"),
        _bool("enabled"),
        _time("next_run_at"),
        _time("created_at"),
        _key("schedules", "id"),
        _refers("schedules", "project_id", "projects"),
    )


def _create_settings_revisions() -> None:
    op.create_table(
        "settings_revisions",
        _string("id"),
        _string("project_id"),
        _int("number"),
        _json("values"),
        _json("reward"),
        _time("created_at"),
        _key("settings_revisions", "id"),
        _refers("settings_revisions", "project_id", "projects"),
        sa.UniqueConstraint("project_id", "number", name="uq_settings_revisions_project_id_number"),
    )
    op.create_index("ix_settings_revisions_project_id", "settings_revisions", ["project_id"])


def _create_versions() -> None:
    op.create_table(
        "versions",
        _string("id"),
        _string("project_id"),
        _int("number"),
        _string("parent_id", nullable=True),
        _string("update_id", nullable=True),
        _string("name", 200, nullable=True),
        _json("metrics"),
        _time("created_at"),
        _key("versions", "id"),
        _refers("versions", "parent_id", "versions"),
        _refers("versions", "project_id", "projects"),
        sa.UniqueConstraint("project_id", "number", name="uq_versions_project_id_number"),
    )
    op.create_index("ix_versions_project_id", "versions", ["project_id"])


def _create_samples() -> None:
    op.create_table(
        "samples",
        _string("id"),
        _string("project_id"),
        _string("version_id"),
        _string("revision_id"),
        _string("kind"),
        _string("status"),
        _json("prompts"),
        _json("seeds"),
        _json("settings"),
        _time("created_at"),
        _key("samples", "id"),
        _refers("samples", "project_id", "projects"),
        _refers("samples", "revision_id", "settings_revisions"),
        _refers("samples", "version_id", "versions"),
        _one_of("samples", "kind", "request", "probe"),
        _one_of(
            "samples", "status", "queued", "running", "paused", "succeeded", "failed", "cancelled"
        ),
    )
    op.create_index("ix_samples_project_id", "samples", ["project_id"])
    op.create_index("ix_samples_version_id", "samples", ["version_id"])


def _create_updates() -> None:
    op.create_table(
        "updates",
        _string("id"),
        _string("project_id"),
        _int("number"),
        _string("revision_id"),
        _string("parent_id", nullable=True),
        _string("status", 16),
        _bool("cancel_requested"),
        _string("phase"),
        _int("step"),
        _int("steps"),
        _float("eta_s", nullable=True),
        _int("group_count"),
        _int("rating_count"),
        _big("seed"),
        _json("source_scales"),
        _json("metrics"),
        _string("version_id", nullable=True),
        _bool("made_live"),
        _string("error_code", nullable=True),
        _text("error_detail", nullable=True),
        _time("created_at"),
        _time("started_at", nullable=True),
        _time("finished_at", nullable=True),
        _key("updates", "id"),
        _refers("updates", "parent_id", "versions"),
        _refers("updates", "project_id", "projects"),
        _refers("updates", "revision_id", "settings_revisions"),
        sa.UniqueConstraint("project_id", "number", name="uq_updates_project_id_number"),
        _one_of(
            "updates", "status", "queued", "running", "paused", "succeeded", "failed", "cancelled"
        ),
    )
    op.create_index(
        "uq_updates_one_active",
        "updates",
        ["project_id"],
        unique=True,
        sqlite_where=_ACTIVE,
        postgresql_where=_ACTIVE,
    )


def _create_version_files() -> None:
    op.create_table(
        "version_files",
        _string("version_id"),
        _string("kind"),
        _string("key"),
        _string("sha256"),
        _big("size"),
        _key("version_files", "version_id", "kind"),
        _refers("version_files", "version_id", "versions"),
    )


def _create_groups() -> None:
    op.create_table(
        "groups",
        _string("id"),
        _string("project_id"),
        _string("prompt_id"),
        _string("version_id"),
        _string("revision_id"),
        _string("kind"),
        _text("retired_reason", nullable=True),
        _bool("usable"),
        _int("judged_by"),
        _string("used_by_update_id", nullable=True),
        _string("trajectory_key", nullable=True),
        _string("trajectory_sha256", nullable=True),
        _big("trajectory_size", nullable=True),
        _time("created_at"),
        _key("groups", "id"),
        _refers("groups", "project_id", "projects"),
        _refers("groups", "prompt_id", "prompts"),
        _refers("groups", "revision_id", "settings_revisions"),
        _refers("groups", "used_by_update_id", "updates"),
        _refers("groups", "version_id", "versions"),
        _one_of("groups", "kind", "group", "repeat", "pair"),
    )
    op.create_index(
        "ix_groups_open",
        "groups",
        ["project_id", "version_id", "created_at", "judged_by"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index("ix_groups_recent", "groups", ["project_id", "created_at"])
    op.create_index(
        "ix_groups_usable", "groups", ["project_id", "usable", "used_by_update_id", "created_at"]
    )
    op.create_index("ix_groups_used_by_update_id", "groups", ["used_by_update_id"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        _string("id"),
        _string("kind", 16),
        _string("project_id", nullable=True),
        _string("update_id", nullable=True),
        _json("payload"),
        _int("priority"),
        _string("dedupe_key", nullable=True),
        _string("state", 16),
        _bool("cancel_requested"),
        _int("attempt"),
        _int("max_attempts"),
        _string("worker_id", nullable=True),
        _time("lease_until", nullable=True),
        _string("phase"),
        _int("step"),
        _int("steps"),
        _time("progress_at", nullable=True),
        _string("error_code", nullable=True),
        _text("error_detail", nullable=True),
        _text("error_log", nullable=True),
        _time("created_at"),
        _time("started_at", nullable=True),
        _time("finished_at", nullable=True),
        _key("jobs", "id"),
        _refers("jobs", "project_id", "projects"),
        _refers("jobs", "update_id", "updates"),
        sa.UniqueConstraint("dedupe_key", name="uq_jobs_dedupe_key"),
        _one_of(
            "jobs",
            "kind",
            "rollout",
            "score",
            "update",
            "samples",
            "export",
            "check_model",
            "housekeeping",
        ),
        _one_of("jobs", "state", "queued", "running", "paused", "succeeded", "failed", "cancelled"),
    )
    op.create_index("ix_jobs_project", "jobs", ["project_id", "kind", "state"])
    op.create_index("ix_jobs_queue", "jobs", ["state", "priority", "created_at"])
    op.create_index("ix_jobs_update_id", "jobs", ["update_id"])


def _create_assignments() -> None:
    op.create_table(
        "assignments",
        _int("id"),
        _string("group_id"),
        _string("rater_id"),
        _json("order"),
        _bool("first"),
        _time("shown_at"),
        _time("held_until"),
        _key("assignments", "id"),
        _refers("assignments", "group_id", "groups"),
        _refers("assignments", "rater_id", "raters"),
        sa.UniqueConstraint("group_id", "rater_id", name="uq_assignments_group_id_rater_id"),
    )
    op.create_index("ix_assignments_rater", "assignments", ["rater_id", "held_until"])


def _create_images() -> None:
    op.create_table(
        "images",
        _string("id"),
        _string("group_id", nullable=True),
        _string("samples_id", nullable=True),
        _int("position"),
        _text("prompt"),
        _big("seed"),
        _int("width"),
        _int("height"),
        _string("key"),
        _string("sha256"),
        _int("size"),
        _time("created_at"),
        _key("images", "id"),
        _refers("images", "group_id", "groups"),
        _refers("images", "samples_id", "samples"),
        sa.UniqueConstraint("group_id", "position", name="uq_images_group_id_position"),
        sa.UniqueConstraint("samples_id", "position", name="uq_images_samples_id_position"),
    )


def _create_ratings() -> None:
    op.create_table(
        "ratings",
        _int("sequence"),
        _string("event_id", 64),
        _string("project_id"),
        _string("group_id"),
        _string("rater_id"),
        _string("mode", 16),
        _json("judgement"),
        _json("order", nullable=True),
        _int("elapsed_ms", nullable=True),
        _string("content_sha256", 64),
        _string("status", 16),
        _bool("usable"),
        _text("reason"),
        _string("used_by_update_id", nullable=True),
        _time("created_at"),
        _key("ratings", "sequence"),
        _refers("ratings", "group_id", "groups"),
        _refers("ratings", "project_id", "projects"),
        _refers("ratings", "rater_id", "raters"),
        _refers("ratings", "used_by_update_id", "updates"),
        sa.UniqueConstraint("event_id", name="uq_ratings_event_id"),
        _one_of("ratings", "mode", "best", "stars", "good", "rank", "pair", "skip"),
        _one_of("ratings", "status", "active", "superseded", "undone"),
    )
    op.create_index("ix_ratings_group_rater", "ratings", ["group_id", "rater_id", "status"])
    op.create_index("ix_ratings_project", "ratings", ["project_id", "status", "sequence"])
    op.create_index("ix_ratings_rater", "ratings", ["rater_id", "status", "group_id"])


def _create_rewards() -> None:
    op.create_table(
        "rewards",
        _int("sequence"),
        _string("image_id"),
        _int("mapping_version"),
        _float("value"),
        _key("rewards", "sequence", "image_id", "mapping_version"),
        _refers("rewards", "image_id", "images"),
        sa.ForeignKeyConstraint(
            ["sequence"], ["ratings.sequence"], name="fk_rewards_sequence_ratings"
        ),
    )


def _create_scores() -> None:
    op.create_table(
        "scores",
        _string("image_id"),
        _string("source", 64),
        _string("source_version", 64),
        _float("value"),
        _time("created_at"),
        _key("scores", "image_id", "source", "source_version"),
        _refers("scores", "image_id", "images"),
    )


def _create_update_inputs() -> None:
    op.create_table(
        "update_inputs",
        _int("id"),
        _string("update_id"),
        _string("group_id"),
        _string("image_id"),
        _string("source", 64),
        _string("rater_id", nullable=True),
        _int("rating_sequence", nullable=True),
        _string("mode", 16),
        _float("reward"),
        _float("source_weight"),
        _float("advantage"),
        _int("lag"),
        _key("update_inputs", "id"),
        _refers("update_inputs", "group_id", "groups"),
        _refers("update_inputs", "image_id", "images"),
        _refers("update_inputs", "rater_id", "raters"),
        sa.ForeignKeyConstraint(
            ["rating_sequence"],
            ["ratings.sequence"],
            name="fk_update_inputs_rating_sequence_ratings",
        ),
        _refers("update_inputs", "update_id", "updates"),
    )
    op.create_index("ix_update_inputs_update_id", "update_inputs", ["update_id"])
