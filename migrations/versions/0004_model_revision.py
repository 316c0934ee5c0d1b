"""Projects remember which commit of a hub model they began with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("model_revision", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("projects", "model_revision")
