"""Versions that are pinned, noted, kept and deleted, and versions made again."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("note", sa.Text(), nullable=False, server_default=""),
        sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("kept", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("versions", column)
    for name in ("retraining_id", "repeats_id"):
        op.add_column("updates", sa.Column(name, sa.String(255), nullable=True))
    op.create_table(
        "retrainings",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("project_id", sa.String(255), nullable=False),
        sa.Column("version_id", sa.String(255), nullable=False),
        sa.Column("ancestor_id", sa.String(255), nullable=False),
        sa.Column("update_ids", sa.JSON(), nullable=False),
        sa.Column("left_out", sa.JSON(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_retrainings_project_id_projects"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name="fk_retrainings_version_id_versions"
        ),
        sa.ForeignKeyConstraint(
            ["ancestor_id"], ["versions.id"], name="fk_retrainings_ancestor_id_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_retrainings"),
    )
    op.create_index("ix_retrainings_project_id", "retrainings", ["project_id"])


def downgrade() -> None:
    op.drop_table("retrainings")
    for name in ("repeats_id", "retraining_id"):
        op.drop_column("updates", name)
    for name in ("deleted_at", "kept", "pinned", "note"):
        op.drop_column("versions", name)
