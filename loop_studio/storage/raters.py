"""People who judge, by name within a project."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.errors import Invalid
from loop_studio.storage.schema import Rater


def named(session: Session, project_id: str, name: str) -> Rater:
    """The rater of this name, made at the first sight; the caller holds the project."""
    rater = known(session, project_id, name)
    if rater is None:
        rater = Rater(project_id=project_id, name=name)
        session.add(rater)
        session.flush()
    return rater


def known(session: Session, project_id: str, name: str) -> Rater | None:
    """The rater of this name, if there ever was one."""
    check(name)
    wanted = select(Rater).where(Rater.project_id == project_id, Rater.name == name)
    return session.scalars(wanted).one_or_none()


def check(name: str) -> None:
    """Raise Invalid unless `name` can be a rater's."""
    if not name.strip() or len(name) > 80:
        raise Invalid("rater must be a name of 1 to 80 characters.")
