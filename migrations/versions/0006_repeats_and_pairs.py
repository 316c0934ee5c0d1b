"""Hidden repeats, blind pairs, and versions that wait for them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PAIRS = sa.text("kind = 'pair'")


def upgrade() -> None:
    with op.batch_alter_table("groups") as batch:
        batch.add_column(sa.Column("repeat_of_id", sa.String(255), nullable=True))
        batch.add_column(sa.Column("opponent_id", sa.String(255), nullable=True))
        batch.create_foreign_key(
            "fk_groups_repeat_of_id_groups", "groups", ["repeat_of_id"], ["id"]
        )
        batch.create_foreign_key(
            "fk_groups_opponent_id_versions", "versions", ["opponent_id"], ["id"]
        )
    op.create_index("ix_groups_repeat_of_id", "groups", ["repeat_of_id"])
    op.create_index(
        "ix_groups_pairs",
        "groups",
        ["project_id", "version_id", "judged_by"],
        sqlite_where=_PAIRS,
        postgresql_where=_PAIRS,
    )
    op.add_column(
        "versions",
        sa.Column("awaits_pairs", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.drop_index("ix_ratings_rater", "ratings")
    op.create_index("ix_ratings_rater", "ratings", ["rater_id", "status", "sequence"])
    op.create_index(
        "ix_assignments_first",
        "assignments",
        ["rater_id"],
        sqlite_where=sa.text("first = 1"),
        postgresql_where=sa.text("first"),
    )


def downgrade() -> None:
    op.drop_index("ix_assignments_first", "assignments")
    op.drop_index("ix_ratings_rater", "ratings")
    op.create_index("ix_ratings_rater", "ratings", ["rater_id", "status", "group_id"])
    op.drop_column("versions", "awaits_pairs")
    op.drop_index("ix_groups_pairs", "groups")
    op.drop_index("ix_groups_repeat_of_id", "groups")
    with op.batch_alter_table("groups") as batch:
        batch.drop_constraint("fk_groups_opponent_id_versions", type_="foreignkey")
        batch.drop_constraint("fk_groups_repeat_of_id_groups", type_="foreignkey")
        batch.drop_column("opponent_id")
        batch.drop_column("repeat_of_id")
