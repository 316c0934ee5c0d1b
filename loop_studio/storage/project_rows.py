"""Every row and file of a project, read from the schema itself: a new table is part of it at once.

A row belongs to a project by its `project_id`, or by the row that it hangs on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, delete, func, or_, select
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database, changed
from loop_studio.storage.references import job_files
from loop_studio.storage.schema import Base, Job

# Of the whole studio.
SHARED = (
    *("workers", "leases", "audit_entries", "room", "client_figures"),
    *("users", "user_sessions", "api_tokens", "invitations"),
)
# Of this studio's clock, worker and guests: they do not travel. Features are extracted anew.
PASSING = ("jobs", "schedules", "autopilots", "image_features", "guest_links", "guests")
# By table: the columns that name a file, its hash and its size.
FILES = {
    "images": ("key", "sha256", "size"),
    "version_files": ("key", "sha256", "size"),
    "reward_fits": ("key", "sha256", "size"),
    "groups": ("trajectory_key", "trajectory_sha256", "trajectory_size"),
}
_AT_ONCE = 1000


def owned() -> list[Table]:
    """Tables with rows of projects, those that others point to first."""
    return [table for table in Base.metadata.sorted_tables if table.name not in SHARED]


def travelling() -> list[Table]:
    """The tables of a project that is taken elsewhere, in the same order."""
    return [table for table in owned() if table.name not in PASSING]


def belongs(table: Table, project_id: str) -> ColumnElement[bool]:
    """Whether a row of an owned table is the project's."""
    if table.name == "projects":
        return table.c.id == project_id
    if "project_id" in table.c:
        return table.c.project_id == project_id
    above = list(_parents(table))
    required = [(column, parent) for column, parent in above if not column.nullable]
    return or_(*(_hangs_on(*link, project_id) for link in required[:1] or above))


def read(db: Database, project_id: str) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """The travelling rows by table, in the order of their making, of one moment in time.

    Each table's rows are to be read before the next table is asked for.
    """
    with db.read() as session:
        for table in travelling():
            yield table.name, _rows(session, table, project_id)


def files(session: Session, project_id: str) -> Iterator[str]:
    """The keys of all files that are the project's."""
    for table, column in _columns("key"):
        wanted = select(column).where(belongs(table, project_id), column.is_not(None))
        yield from session.scalars(wanted)
    for file in job_files(session, Job.project_id == project_id):
        yield file["key"]


def size(session: Session, project_id: str) -> int:
    """Bytes of all files that are the project's."""
    total = sum(file["size"] for file in job_files(session, Job.project_id == project_id))
    for table, column in _columns("size"):
        total += session.scalar(select(func.sum(column)).where(belongs(table, project_id))) or 0
    return int(total)


def remove(session: Session, project_id: str) -> None:
    """Delete every row of the project, those that point to others first."""
    for table in reversed(owned()):
        changed(session, delete(table).where(belongs(table, project_id)))


def _columns(what: str) -> Iterator[tuple[Table, Column[Any]]]:
    place = ("key", "sha256", "size").index(what)
    for name, columns in FILES.items():
        table = Base.metadata.tables[name]
        yield table, table.c[columns[place]]


def _rows(session: Session, table: Table, project_id: str) -> Iterator[dict[str, Any]]:
    order = [table.c.created_at] if "created_at" in table.c else []
    wanted = select(table).where(belongs(table, project_id))
    wanted = wanted.order_by(*order, *table.primary_key).execution_options(yield_per=_AT_ONCE)
    for row in session.execute(wanted).mappings():
        yield {str(name): value for name, value in row.items()}


def _parents(table: Table) -> Iterator[tuple[Column[Any], Column[Any]]]:
    """Columns that point to other owned tables, and what they point to."""
    for column in table.columns:
        for key in column.foreign_keys:
            if key.column.table is not table:
                yield column, key.column


def _hangs_on(column: Column[Any], parent: Column[Any], project_id: str) -> ColumnElement[bool]:
    return column.in_(select(parent).where(belongs(parent.table, project_id)))
