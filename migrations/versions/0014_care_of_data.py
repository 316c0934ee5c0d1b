"""Who changed what, room on the disk, raters whose data was removed, an accelerator that works."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("project_id", sa.String(255), nullable=True),
        sa.Column("rater_id", sa.String(255), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_audit_entries_project_id", "audit_entries", ["project_id"])
    op.create_table(
        "room",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("sentence", sa.Text(), nullable=False),
    )
    op.add_column("raters", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("workers", sa.Column("computed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "computed_at")
    op.drop_column("raters", "removed_at")
    op.drop_table("room")
    op.drop_index("ix_audit_entries_project_id", "audit_entries")
    op.drop_table("audit_entries")
