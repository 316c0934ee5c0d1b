import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from loop_studio.errors import DataFolderUnusable
from loop_studio.settings import Settings
from loop_studio.storage import migration
from loop_studio.storage.database import Database, foreign_keys
from loop_studio.storage.migration import migrate, state
from loop_studio.storage.schema import Base, Project, Prompt

HEAD = max(file.name for file in (migration.SCRIPTS / "versions").glob("0*.py"))[:4]
NEXT = """
import sqlalchemy as sa
from alembic import op
revision = "next"
down_revision = "{head}"
def upgrade():
    with op.batch_alter_table("projects") as batch:
        batch.add_column(sa.Column("note", sa.String(10), nullable=True))
        batch.alter_column("name", type_=sa.String(100))
{more}
"""


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scripts folder with a second revision, which rebuilds a table that others point to."""
    scripts = tmp_path / "scripts"
    shutil.copytree(migration.SCRIPTS, scripts)
    monkeypatch.setattr(migration, "SCRIPTS", scripts)
    return scripts


def add_rows(db: Database) -> None:
    with db.write() as session:
        session.add(Project(id="p", name="P", model="starter"))
        session.flush()
        session.add(Prompt(id="q", project_id="p", text="a fish", unknown_words=[], position=0))


def test_models_and_migrations_agree(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def _index(index: Any) -> str:
    where = index["dialect_options"].get("sqlite_where", "")
    return f"{index['name']} {index['column_names']} {index['unique']} {where}"


def described(engine: Engine) -> dict[str, object]:
    found = inspect(engine)
    return {
        table: (
            sorted(str(check) for check in found.get_check_constraints(table)),
            sorted(str(unique) for unique in found.get_unique_constraints(table)),
            sorted(_index(index) for index in found.get_indexes(table)),
            sorted(str(key) for key in found.get_foreign_keys(table)),
            found.get_pk_constraint(table),
        )
        for table in found.get_table_names()
        if table != "alembic_version"
    }


@pytest.mark.sqlite
def test_models_and_migrations_agree_on_every_constraint_and_index(
    db: Database, tmp_path: Path
) -> None:
    created = create_engine(f"sqlite:///{tmp_path / 'created.sqlite3'}")
    Base.metadata.create_all(created)
    assert described(db.engine) == described(created)


def test_a_fresh_folder_becomes_head_and_a_second_migration_changes_nothing(
    tmp_path: Path,
) -> None:
    settings = Settings(data=tmp_path / "new" / "folder")
    migrate(settings)
    db = Database(settings.resolved_database_url)
    assert state(db) == "head"
    add_rows(db)
    migrate(settings)
    with db.read() as session:
        assert session.get(Prompt, "q") is not None
    assert not (settings.data / "backups").exists()


@pytest.mark.sqlite
def test_upgrade_of_a_populated_database_keeps_every_row_and_writes_a_backup(
    settings: Settings, db: Database, older: Path
) -> None:
    add_rows(db)
    (older / "versions" / "next.py").write_text(NEXT.format(head=HEAD, more=""))
    assert state(db) == "older"
    migrate(settings)
    assert state(db) == "head"
    with db.read() as session:
        assert session.execute(text("SELECT count(*) FROM prompts")).scalar() == 1
        assert session.execute(text("SELECT note FROM projects")).all() == [(None,)]
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
    [backup] = (settings.data / "backups").iterdir()
    kept = Database(f"sqlite:///{backup}")
    assert state(kept) == "older"
    with kept.read() as session:
        assert session.get(Prompt, "q") is not None


def step_down(db: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migration.SCRIPTS))
    with db.engine.connect().execution_options(write=True) as connection:
        foreign_keys(connection, on=False)
        with connection.begin():
            config.attributes["connection"] = connection
            command.downgrade(config, revision)


@pytest.mark.sqlite
@pytest.mark.parametrize("revision", [f"{number:04}" for number in range(1, int(HEAD))])
def test_a_database_of_every_earlier_release_comes_to_head_with_its_rows(
    settings: Settings, db: Database, revision: str
) -> None:
    add_rows(db)
    step_down(db, revision)
    assert state(db) == "older"
    migrate(settings)
    assert state(db) == "head"
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    with db.read() as session:
        assert session.get(Prompt, "q") is not None


@pytest.mark.sqlite
def test_an_upgrade_that_breaks_references_is_taken_back(
    settings: Settings, db: Database, older: Path
) -> None:
    add_rows(db)
    more = '    op.execute("DELETE FROM projects")\n'
    (older / "versions" / "next.py").write_text(NEXT.format(head=HEAD, more=more))
    with pytest.raises(DataFolderUnusable, match="1 rows that point to nothing"):
        migrate(settings)
    assert state(db) == "older"
    with db.read() as session:
        assert session.get(Project, "p") is not None


def test_an_upgrade_that_fails_half_way_leaves_the_old_schema(
    settings: Settings, db: Database, older: Path
) -> None:
    add_rows(db)
    more = '    op.create_table("extra", sa.Column("id", sa.Integer()))\n    raise RuntimeError\n'
    (older / "versions" / "next.py").write_text(NEXT.format(head=HEAD, more=more))
    with pytest.raises(RuntimeError):
        migrate(settings)
    assert state(db) == "older"
    assert "extra" not in inspect(db.engine).get_table_names()
    assert "note" not in [column["name"] for column in inspect(db.engine).get_columns("projects")]


@pytest.mark.sqlite
def test_a_disk_too_full_for_the_backup_stops_the_upgrade_with_one_sentence(
    settings: Settings, db: Database, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_connection: object, target: Path) -> None:
        target.write_bytes(b"half")
        raise sqlite3.OperationalError("database or disk is full")

    (older / "versions" / "next.py").write_text(NEXT.format(head=HEAD, more=""))
    monkeypatch.setattr(migration, "copy_sqlite", full)
    with pytest.raises(DataFolderUnusable, match="The disk is full"):
        migrate(settings)
    assert state(db) == "older"
    assert list((settings.data / "backups").iterdir()) == []


def test_a_newer_database_is_refused_with_a_sentence(settings: Settings, db: Database) -> None:
    with db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert state(db) == "newer"
    with pytest.raises(DataFolderUnusable, match="newer release of LOOP Studio"):
        migrate(settings)


def test_an_empty_database_is_known_as_empty(tmp_path: Path) -> None:
    assert state(Database(f"sqlite:///{tmp_path / 'nothing.sqlite3'}", create=True)) == "empty"


def test_starts_at_the_same_time_migrate_once(tmp_path: Path) -> None:
    settings, failures = Settings(data=tmp_path / "shared"), []

    def start() -> None:
        try:
            migrate(settings)
        except Exception as error:  # noqa: BLE001  (any failure fails the test below)
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert state(Database(settings.resolved_database_url)) == "head"
