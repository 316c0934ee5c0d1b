"""From finished work to a version that is listed, on disk, and live if it may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.storage.database import found
from loop_studio.storage.files import StoredFile
from loop_studio.storage.guard import FIGURES, Checked
from loop_studio.storage.projects import revision_of
from loop_studio.storage.promotion import end_waiting, make_live
from loop_studio.storage.refilling import refill_in
from loop_studio.storage.schema import Project, Update, Version, VersionFile, now


def publish_in(
    session: Session,
    done: Update,
    files: Mapping[str, StoredFile],
    metrics: Mapping[str, Any],
    checked: Checked,
) -> Version:
    """Rows of the version and its files, the end of the update, and the swap of what is live.

    What the guard keeps back waits for someone's word instead; where blind pairs decide, the
    version waits as a candidate. The newest one that waits is the only one. What a retraining makes
    stays a branch.
    """
    version = add_version(
        session,
        done.project_id,
        done.parent_id,
        files,
        update_id=done.id,
        metrics={**metrics, **({FIGURES: checked.figures} if checked.figures else {})},
        concerns=list(checked.concerns),
    )
    project = found(session, Project, done.project_id, lock=True)
    revision = revision_of(session, project)
    may_follow = project.live_version_id == done.parent_id and done.retraining_id is None
    is_free = may_follow and not checked.is_held
    done.made_live = is_free and revision.config.promotion == "always"
    if may_follow:
        end_waiting(session, project.id)
        version.awaits_pairs = is_free and not done.made_live
    done.status, done.phase, done.eta_s = "succeeded", "published", None
    done.requested = None
    done.step, done.version_id, done.finished_at = done.steps, version.id, now()
    done.metrics = dict(metrics)
    healthy_id = checked.return_to if may_follow else None
    if done.made_live or healthy_id is not None:
        make_live(session, project, found(session, Version, healthy_id or version.id))
        refill_in(session, project, revision)
    version.awaits_decision = may_follow and bool(checked.concerns)
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
