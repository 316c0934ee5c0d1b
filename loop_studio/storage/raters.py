"""People who judge, by name within a project."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.errors import Invalid, NotFound
from loop_studio.storage import audit, learned
from loop_studio.storage.database import Database, found
from loop_studio.storage.schema import Project, Rater
from loop_studio.storage.worth import weigh


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


def exclude(db: Database, project_id: str, rater_id: str, excluded: bool) -> Rater:
    """Learn no more from this rater, or learn again; repeatable, and nothing is deleted.

    What each judgement is worth is derived anew, and a group that only this rater has judged waits
    for others again. What an update has used stays used. Raises NotFound.
    """
    with db.write() as session:
        found(session, Project, project_id, lock=True)
        rater = found(session, Rater, rater_id)
        if rater.project_id != project_id:
            raise NotFound(f"There is no rater {rater_id} in this project.")
        if rater.excluded != excluded:
            rater.excluded = excluded
            weigh(session, rater)
            learned.ask_again(session, project_id)
            done = "Excluded a rater." if excluded else "Took back the exclusion of a rater."
            audit.note(session, "rater", done, project_id, rater.id)
        return rater
