"""Learned rewards, groups served at random or because they tell most, autopilots."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OPEN = "retired_reason IS NULL AND used_by_update_id IS NULL"
_TELLING = sa.text(f"{_OPEN} AND informativeness > 0")
_OPEN_AUTOPILOT = sa.text("state IN ('running', 'paused')")
_OLD = (
    "rollout",
    "score",
    "update",
    "samples",
    "export",
    "check_model",
    "housekeeping",
    "import_lora",
    "import_project",
)


def upgrade() -> None:
    _allow(*_OLD, "fit_reward")
    op.add_column(
        "groups",
        sa.Column("informativeness", sa.Double(), nullable=False, server_default="0"),
    )
    for name, columns in (
        ("ix_groups_telling", ["project_id", "version_id", "informativeness", "id"]),
        ("ix_groups_lottery", ["project_id", "version_id", "id"]),
    ):
        where = _TELLING if name == "ix_groups_telling" else sa.text(_OPEN)
        op.create_index(name, "groups", columns, sqlite_where=where, postgresql_where=where)
    # So far every group was served because it was the oldest, whatever it showed.
    op.add_column(
        "assignments",
        sa.Column("at_random", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    op.create_table(
        "image_features",
        sa.Column("image_id", sa.String(255), sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("extractor", sa.String(64), primary_key=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "reward_fits",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("project_id", sa.String(255), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(255), nullable=True),
        sa.Column("sha256", sa.String(255), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("last_sequence", sa.Integer(), sa.ForeignKey("ratings.sequence"), nullable=True),
        sa.Column("ratings", sa.Integer(), nullable=False),
        sa.Column("groups", sa.Integer(), nullable=False),
        sa.Column("validation", sa.JSON(), nullable=False),
        sa.Column("contributes", sa.Boolean(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("project_id", "number", name="uq_reward_fits_project_id_number"),
    )
    op.create_table(
        "autopilots",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("project_id", sa.String(255), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("most_updates", sa.Integer(), nullable=True),
        sa.Column("most_minutes", sa.Double(), nullable=True),
        sa.Column("reward_goal", sa.Double(), nullable=True),
        sa.Column("updates", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("reward", sa.Double(), nullable=True),
        sa.Column("update_id", sa.String(255), sa.ForeignKey("updates.id"), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'finished', 'stopped')",
            name=op.f("ck_autopilots_state_known"),
        ),
    )
    op.create_index("ix_autopilots_project_id", "autopilots", ["project_id"])
    op.create_index(
        "uq_autopilots_one_open",
        "autopilots",
        ["project_id"],
        unique=True,
        sqlite_where=_OPEN_AUTOPILOT,
        postgresql_where=_OPEN_AUTOPILOT,
    )


def downgrade() -> None:
    op.drop_table("autopilots")
    op.drop_table("reward_fits")
    op.drop_table("image_features")
    op.drop_column("assignments", "at_random")
    op.drop_index("ix_groups_lottery", "groups")
    op.drop_index("ix_groups_telling", "groups")
    op.drop_column("groups", "informativeness")
    op.execute("DELETE FROM jobs WHERE kind = 'fit_reward'")
    _allow(*_OLD)


def _allow(*kinds: str) -> None:
    name = op.f("ck_jobs_kind_known")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("jobs") as batch:
        batch.drop_constraint(name, type_="check")
        batch.create_check_constraint(name, sa.text(f"kind IN ({listed})"))
