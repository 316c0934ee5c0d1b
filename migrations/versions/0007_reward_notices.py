"""Updates say which groups they left waiting, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("updates", sa.Column("notice", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("updates", "notice")
