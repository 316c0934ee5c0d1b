"""How late each group of an update was."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "update_groups",
        sa.Column("update_id", sa.String(255), nullable=False),
        sa.Column("group_id", sa.String(255), nullable=False),
        sa.Column("lag", sa.Integer(), nullable=False),
        sa.Column("staleness", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("update_id", "group_id", name="pk_update_groups"),
        sa.ForeignKeyConstraint(
            ["update_id"], ["updates.id"], name="fk_update_groups_update_id_updates"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name="fk_update_groups_group_id_groups"
        ),
    )


def downgrade() -> None:
    op.drop_table("update_groups")
