"""Jobs of the kind `import_project`."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_OLD = (
    "rollout",
    "score",
    "update",
    "samples",
    "export",
    "check_model",
    "housekeeping",
    "import_lora",
)


def upgrade() -> None:
    _allow(*_OLD, "import_project")


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE kind = 'import_project'")
    _allow(*_OLD)


def _allow(*kinds: str) -> None:
    name = op.f("ck_jobs_kind_known")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("jobs") as batch:
        batch.drop_constraint(name, type_="check")
        batch.create_check_constraint(name, sa.text(f"kind IN ({listed})"))
