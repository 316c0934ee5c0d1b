"""What stands beside a judgement: guidelines before it, flags, notes and favourites after it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("guidelines", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "remarks",
        sa.Column("rater_id", sa.String(255), nullable=False),
        sa.Column("group_id", sa.String(255), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rater_id", "group_id", name="pk_remarks"),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name="fk_remarks_rater_id_raters"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_remarks_group_id_groups"),
    )
    op.create_table(
        "favourites",
        sa.Column("rater_id", sa.String(255), nullable=False),
        sa.Column("image_id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rater_id", "image_id", name="pk_favourites"),
        sa.ForeignKeyConstraint(["rater_id"], ["raters.id"], name="fk_favourites_rater_id_raters"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_favourites_image_id_images"),
    )


def downgrade() -> None:
    op.drop_table("favourites")
    op.drop_table("remarks")
    op.drop_column("projects", "guidelines")
