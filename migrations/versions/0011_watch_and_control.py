"""Updates that can be watched, paused and stopped; schedules that remember what they did."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("updates", sa.Column("requested", sa.String(16), nullable=True))
    op.add_column(
        "updates",
        sa.Column("optimizer_steps", sa.Integer(), nullable=False, server_default="0"),
    )
    op.add_column("updates", sa.Column("samples_per_s", sa.Double(), nullable=True))
    op.add_column("updates", sa.Column("memory_bytes", sa.BigInteger(), nullable=True))
    op.add_column("updates", sa.Column("accelerator_bytes", sa.BigInteger(), nullable=True))
    op.add_column("schedules", sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("schedules", sa.Column("last_outcome", sa.Text(), nullable=True))
    op.create_table(
        "update_logs",
        sa.Column("update_id", sa.String(255), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["update_id"], ["updates.id"], name="fk_update_logs_update_id_updates"
        ),
        sa.PrimaryKeyConstraint("update_id", name="pk_update_logs"),
    )


def downgrade() -> None:
    op.drop_table("update_logs")
    for column in ("last_outcome", "last_run_at"):
        op.drop_column("schedules", column)
    for column in (
        "accelerator_bytes",
        "memory_bytes",
        "samples_per_s",
        "optimizer_steps",
        "requested",
    ):
        op.drop_column("updates", column)
