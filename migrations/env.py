"""Alembic's entry: `loop_studio.storage.migration` hands over its connection and transaction."""

from alembic import context

from loop_studio.storage.schema import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
context.run_migrations()
