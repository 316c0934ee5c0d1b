"""What can be known of PostgreSQL without a server: the SQL that would be sent to it."""

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from loop_studio.storage.jobs import claim_statement
from loop_studio.storage.schema import Base, now

DIALECT = postgresql.dialect()


def test_claim_skips_rows_that_another_worker_is_claiming() -> None:
    sql = str(claim_statement("w", now(), ["rollout"], "p").compile(dialect=DIALECT))
    assert sql.startswith("UPDATE jobs SET")
    assert "FOR UPDATE SKIP LOCKED" in sql
    assert "RETURNING" in sql


def test_every_table_can_be_made_and_partial_indexes_stay_partial() -> None:
    for table in Base.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=DIALECT))
    partial = [
        str(CreateIndex(index).compile(dialect=DIALECT))
        for table in Base.metadata.sorted_tables
        for index in table.indexes
        if index.name in {"uq_updates_one_active", "ix_groups_open"}
    ]
    assert len(partial) == 2
    assert all(" WHERE " in sql for sql in partial)
