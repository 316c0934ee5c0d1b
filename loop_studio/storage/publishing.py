"""From finished work to a version that is listed, on disk, and live if it may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.storage.database import found
from loop_studio.storage.files import StoredFile
from loop_studio.storage.projects import revision_of
from loop_studio.storage.promotion import end_waiting, make_live
from loop_studio.storage.refilling import refill_in
from loop_studio.storage.schema import Project, Update, Version, VersionFile, now


def publish_in(
    session: Session,
    done: Update,
    files: Mapping[str, StoredFile],
    metrics: Mapping[str, Any],
) -> Version:
    """Rows of the version and its files, the end of the update, and the swap of what is live.

    Where blind pairs decide, the version waits as a candidate instead, the newest one alone.
    """
    version = add_version(
        session,
        done.project_id,
        done.parent_id,
        files,
        update_id=done.id,
        metrics=dict(metrics),
    )
    project = found(session, Project, done.project_id, lock=True)
    revision = revision_of(session, project)
    may_follow = project.live_version_id == done.parent_id
    done.made_live = may_follow and revision.config.promotion == "always"
    if may_follow:
        end_waiting(session, project.id)
        version.awaits_pairs = not done.made_live
    done.status, done.phase, done.eta_s = "succeeded", "published", None
    done.step, done.version_id, done.finished_at = done.steps, version.id, now()
    done.metrics = dict(metrics)
    if done.made_live:
        make_live(session, project, version)
        refill_in(session, project, revision)
    return version


def add_version(
    session: Session,
    project_id: str,
    parent_id: str | None,
    files: Mapping[str, StoredFile],
    **columns: Any,
) -> Version:
    """Rows of the project's next version and its files, which are on disk already."""
    last = select(func.max(Version.number)).where(Version.project_id == project_id)
    number = (session.scalar(last) or 0) + 1
    version = Version(project_id=project_id, parent_id=parent_id, number=number, **columns)
    session.add(version)
    session.flush()
    for kind, stored in files.items():
        session.add(
            VersionFile(
                version_id=version.id,
                kind=kind,
                key=stored.key,
                sha256=stored.sha256,
                size=stored.size,
            )
        )
    return version
