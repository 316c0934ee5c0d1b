"""Verdicts on pictures, reports, consent; figures of browsers and of the worker's memory."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("sensitive", sa.Boolean(), nullable=True))
    op.add_column("images", sa.Column("withheld", sa.String(16), nullable=True))
    op.add_column("workers", sa.Column("memory_bytes", sa.BigInteger(), nullable=True))
    op.add_column("workers", sa.Column("accelerator_bytes", sa.BigInteger(), nullable=True))
    op.create_table(
        "reports",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("project_id", sa.String(255), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("image_id", sa.String(255), sa.ForeignKey("images.id"), nullable=False),
        sa.Column("rater_id", sa.String(255), sa.ForeignKey("raters.id"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("rater_id", "image_id"),
        sa.CheckConstraint("state IN ('open', 'kept', 'removed')", name="state_known"),
    )
    op.create_index("ix_reports_image_id", "reports", ["image_id"])
    op.create_index("ix_reports_project", "reports", ["project_id", "state"])
    op.create_table(
        "consent_texts",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("project_id", sa.String(255), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("project_id", "number"),
    )
    op.create_table(
        "consents",
        sa.Column("rater_id", sa.String(255), sa.ForeignKey("raters.id"), primary_key=True),
        sa.Column("text_id", sa.String(255), sa.ForeignKey("consent_texts.id"), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "client_figures",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("bucket", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total_ms", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    for table in ("client_figures", "consents", "consent_texts", "reports"):
        op.drop_table(table)
    for column in ("accelerator_bytes", "memory_bytes"):
        op.drop_column("workers", column)
    for column in ("withheld", "sensitive"):
        op.drop_column("images", column)
