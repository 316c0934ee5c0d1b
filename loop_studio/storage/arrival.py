"""A project from elsewhere: its rows are checked, given ids that are free here, and stored at once.

Whatever an archive says, its rows can point to nothing but each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, Integer, Table, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from loop_studio.config import ProjectConfig
from loop_studio.content import SENTENCES
from loop_studio.errors import Invalid
from loop_studio.storage import jobs, project_rows
from loop_studio.storage.columns import UtcDateTime
from loop_studio.storage.database import Database, changed
from loop_studio.storage.files import StoredFile
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import ACTIVE, Job, Update, new_id
from loop_studio.storage.settling import settle_update

Rows = Callable[[str], Iterable[dict[str, Any]]]  # of a table, by its name
Item = TypeVar("Item")
_AT_ONCE = 500
# Columns that name a row without a foreign key: it is made after the row that names it.
POINTERS = {
    ("projects", "live_version_id"): "versions",
    ("projects", "revision_id"): "settings_revisions",
    ("versions", "update_id"): "updates",
    ("updates", "version_id"): "versions",
    ("updates", "retraining_id"): "retrainings",
    ("updates", "repeats_id"): "updates",
}
_AT_REST = {"active_until": None, "model_error": None}  # nothing is made until someone rates
_LEFT_BEHIND = "Left behind when the project was exported."


class Names:
    """What every row of the archive is called here: as there, or anew where that is taken."""

    def __init__(self, db: Database, rows: Rows) -> None:
        self._ids: dict[str, dict[Any, Any]] = {}
        self._renamed: dict[str, str] = {}
        for table in project_rows.travelling():
            column = _name_column(table)
            self._ids[table.name] = {}
            if column is not None:
                self._choose(db, column, rows(table.name))

    def new(self, table: str, old: object) -> Any:
        """The id here of a row of the archive; Invalid when it holds no such row."""
        known = self._ids.get(table, {})
        if not isinstance(old, str | int) or old not in known:
            raise Invalid(f"The archive names a row of {table} that it does not hold.")
        return known[old]

    def learn(self, table: str, old: object, new: object) -> None:
        """A row was given its number by the database."""
        self._ids[table][old] = new

    def renamed(self, value: Any) -> Any:
        """JSON with the ids in it, as keys or as values, called what they are called here."""
        if isinstance(value, str):
            return self._renamed.get(value, value)
        if isinstance(value, list):
            return [self.renamed(item) for item in value]
        if isinstance(value, dict):
            return {self.renamed(key): self.renamed(item) for key, item in value.items()}
        return value

    def _choose(self, db: Database, column: Column[Any], rows: Iterable[dict[str, Any]]) -> None:
        known = self._ids[column.table.name]
        for some in _batches(row.get(column.name) for row in rows):
            with db.read() as session:
                taken = set(session.scalars(select(column).where(column.in_(some))))
            for old in some:
                if not isinstance(old, str) or old in known:
                    raise Invalid(f"The archive has a row of {column.table.name} twice.")
                known[old] = new_id() if old in taken else old
                if old in taken and column.table.name != "projects":  # "starter" is also a word
                    self._renamed[old] = known[old]


def store(
    db: Database, job: Job, rows: Rows, names: Names, files: Mapping[str, StoredFile | None]
) -> str:
    """Store every row and end the job, in one transaction; returns the project's id.

    `files` has an entry for every key that a row names: where the file lies now, or None for one
    that was lost before the export. Raises Invalid, and LostLease.
    """
    with db.write() as session, _known_values():
        jobs.end(session, job, "succeeded")
        project_id = ""
        for table in project_rows.travelling():
            for row in _insert(session, table, rows(table.name), names, files):
                project_id = row["id"] if table.name == "projects" else project_id
        _end_updates(session, project_id)
        told = {**job.payload, "project_id": project_id}
        changed(session, update(Job).where(Job.id == job.id).values(payload=told))
        session.add(Job(kind="check_model", project_id=project_id, priority=20))
        return project_id


@contextmanager
def _known_values() -> Iterator[None]:
    """A word that a column does not know, or a second row of one number, is refused in words."""
    try:
        yield
    except IntegrityError as error:
        raise Invalid("The archive has rows that do not belong together.") from error


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """A few hundred at a time: as many as one statement may name on every database."""
    left = iter(items)
    while some := list(islice(left, _AT_ONCE)):
        yield some


def _name_column(table: Table) -> Column[Any] | None:
    """The column whose text no two rows of the studio share: None where the database counts."""
    if "event_id" in table.c:
        return table.c.event_id
    keys = list(table.primary_key)
    plain = len(keys) == 1 and not keys[0].foreign_keys and not isinstance(keys[0].type, Integer)
    return keys[0] if plain else None


def _counted(table: Table) -> Column[Any] | None:
    return table.autoincrement_column


def _insert(
    session: Session,
    table: Table,
    rows: Iterable[dict[str, Any]],
    names: Names,
    files: Mapping[str, StoredFile | None],
) -> Iterator[dict[str, Any]]:
    """Store rows of one table, a few hundred at a time; gives back what was stored."""
    counted = _counted(table)
    for some in _batches(rows):
        old = [row.pop(counted.name, None) if counted is not None else None for row in some]
        stored = [_row(table, row, names, files) for row in some]
        if counted is None:
            session.execute(insert(table), stored)
        else:
            told = insert(table).returning(counted, sort_by_parameter_order=True)
            for before, after in zip(old, session.scalars(told, stored), strict=True):
                names.learn(table.name, before, after)
        yield from stored


def _end_updates(session: Session, project_id: str) -> None:
    """An update that was under way gives its groups back: its job stayed behind."""
    under_way = select(Update.id).where(Update.project_id == project_id, Update.status.in_(ACTIVE))
    for update_id in session.scalars(under_way).all():
        settle_update(session, update_id, "cancelled", "cancelled", _LEFT_BEHIND)


def _row(
    table: Table, row: dict[str, Any], names: Names, files: Mapping[str, StoredFile | None]
) -> dict[str, Any]:
    """A row as it is stored here."""
    if unknown := sorted(set(row) - set(table.c.keys())):
        raise Invalid(f"The archive has a column {unknown[0]!r} of {table.name} that is unknown.")
    made = {name: _value(table.c[name], value, names) for name, value in row.items()}
    if table.name in project_rows.FILES:
        made |= _file(table, row, files)
    if table.name == "projects":
        made |= _AT_REST
    if table.name == "settings_revisions":
        ProjectConfig.from_stored(made["values"])
        RewardWeights(made["reward"]["human"], made["reward"]["models"]).checked()
    if table.name == "images" and made.get("withheld") not in (None, *SENTENCES):
        raise _wrong(table.c.withheld)
    if table.name == "samples" and made["status"] in ACTIVE:
        made["status"] = "cancelled"  # their job stayed behind
    return made


def _value(column: Column[Any], value: Any, names: Names) -> Any:
    """One value, of the column's own type, and pointing into the archive if it points."""
    if value is None and column.nullable:
        return None
    if (target := _target(column)) is not None:
        return names.new(target, value)
    if column is _name_column(column.table):
        return names.new(column.table.name, value)
    if isinstance(column.type, UtcDateTime):
        return _moment(column, value)
    if not _fits(column, value):
        raise _wrong(column)
    return names.renamed(value) if isinstance(value, dict | list) else value


def _fits(column: Column[Any], value: Any) -> bool:
    """Whether a JSON value is of the column's type, and not too long for it."""
    wanted = column.type.python_type
    if wanted is dict:
        return isinstance(value, dict | list)  # a column of JSON
    if wanted is str:
        length = getattr(column.type, "length", None)
        return isinstance(value, str) and (length is None or len(value) <= length)
    if isinstance(value, bool) or wanted is bool:
        return isinstance(value, bool) and wanted is bool
    return isinstance(value, float | int if wanted is float else wanted)


def _target(column: Column[Any]) -> str | None:
    """The table that a column's value names a row of."""
    for key in column.foreign_keys:
        return key.column.table.name
    return POINTERS.get((column.table.name, column.name))


def _moment(column: Column[Any], value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _wrong(column) from None
    if moment.tzinfo is None:
        raise _wrong(column)
    return moment


def _file(
    table: Table, row: dict[str, Any], files: Mapping[str, StoredFile | None]
) -> dict[str, Any]:
    """Where the row's file lies now. A trajectory that was lost is no longer named."""
    key, sha256, size = project_rows.FILES[table.name]
    if row[key] is None:
        return {}
    file = files[row[key]]
    if file is not None:
        return {key: file.key, sha256: file.sha256, size: file.size}
    return {key: None, sha256: None, size: None} if table.c[key].nullable else {}


def _wrong(column: Column[Any]) -> Invalid:
    return Invalid(f"The archive has a wrong value of {column.name} in {column.table.name}.")
