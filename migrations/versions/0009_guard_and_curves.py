"""What the guard found, who must decide, and the curves of an update."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("versions", sa.Column("concerns", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column(
        "versions",
        sa.Column("awaits_decision", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "update_curves",
        sa.Column("update_id", sa.String(255), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("timesteps", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["update_id"], ["updates.id"], name="fk_update_curves_update_id_updates"
        ),
        sa.PrimaryKeyConstraint("update_id", name="pk_update_curves"),
    )


def downgrade() -> None:
    op.drop_table("update_curves")
    op.drop_column("versions", "awaits_decision")
    op.drop_column("versions", "concerns")
