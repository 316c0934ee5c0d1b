"""The life of a whole project: cloned, started over from the base, deleted."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, Invalid
from loop_studio.storage import audit, project_rows, projects, prompts
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.projects import STARTER_ID
from loop_studio.storage.promotion import make_live
from loop_studio.storage.schema import ACTIVE, Group, Project, Update, Version

_STARTED_OVER = "The project was started over from the base model."


def clone(db: Database, project_id: str, name: str) -> Project:
    """A new project with the model, prompts, settings, reward weights and guidelines of another.

    Its ratings and versions stay with the other.
    """
    source = projects.get(db, project_id)
    config, weights = projects.config(db, project_id), projects.reward(db, project_id)
    listed = [(prompt.text, prompt.unknown_words) for prompt in prompts.active(db, project_id)]
    return projects.create(
        db,
        name,
        source.model,
        listed,
        config.values(),
        weights,
        model_revision=source.model_revision,
        guidelines=source.guidelines,
    )


def start_over(db: Database, project_id: str) -> Project:
    """Make version 0 live and retire every group that waits, judged or not.

    Versions and ratings stay. Conflict while an update is queued or runs.
    """
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        _check_idle(session, project)
        audit.note(session, "project", f"Started {project.name} over.", project.id)
        base = select(Version).where(Version.project_id == project.id, Version.number == 0)
        make_live(session, project, session.scalars(base).one())
        waiting = (
            Group.project_id == project.id,
            Group.used_by_update_id.is_(None),
            Group.retired_reason.is_(None),
        )
        retired = update(Group).where(*waiting).values(retired_reason=_STARTED_OVER, usable=False)
        changed(session, retired)
        return project


def delete(db: Database, project_id: str, typed_name: str) -> list[str]:
    """Delete a project with all that is its own; returns the keys of its files, to be let go.

    The rows go in one transaction. Housekeeping lets go of files whose deletion was cut short.
    Raises Invalid unless its name was typed, Conflict while an update is queued or runs.
    """
    with db.remove() as session:
        project = found(session, Project, project_id, lock=True)
        if project.id == STARTER_ID:
            raise Conflict(
                "The starter project cannot be deleted; archive it, or start it over.",
                "starter_stays",
            )
        if typed_name.strip() != project.name.strip():
            raise Invalid("name must be the project's name, letter by letter, to delete it.")
        _check_idle(session, project)
        keys = list(project_rows.files(session, project_id))
        audit.note(session, "project", f"Deleted the project {project.name}.", project_id)
        session.expunge(project)  # its row goes below, by a statement
        project_rows.remove(session, project_id)
        return keys


def _check_idle(session: Session, project: Project) -> None:
    busy = select(Update.id).where(Update.project_id == project.id, Update.status.in_(ACTIVE))
    if (active := session.scalars(busy).first()) is not None:
        raise Conflict(
            "An update of this project is under way; cancel it or wait until it is done.",
            "update_active",
            update_id=active,
        )
