"""What a version's model card tells: where it came from, who taught it, and what it gained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.config import ProjectConfig
from loop_studio.storage import prompts, reliability
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import revision_of
from loop_studio.storage.reliability import Agreement
from loop_studio.storage.schema import (
    Project,
    SettingsRevision,
    Update,
    UpdateInput,
    Version,
)
from loop_studio.storage.tree import Tree


@dataclass(frozen=True)
class CardFacts:
    """A version and its whole line, from the base model on."""

    project: str
    model: str
    model_revision: str | None
    version: int
    name: str | None
    config: ProjectConfig  # of its update; of the project for one that came from elsewhere
    prompts: list[str]
    updates: int  # on its line
    ratings: int  # that these learned from
    raters: int
    sources: list[str]  # "human" and automatic rewards that gave an advantage
    agreement: Agreement
    before: dict[str, Any]  # probe rewards of version 0: name -> mean, low, high, n
    after: dict[str, Any]


def gather(db: Database, version_id: str) -> CardFacts:
    """The facts as they are now."""
    with db.read() as session:
        version = found(session, Version, version_id)
        project = found(session, Project, version.project_id)
        line = Tree(session, project.id).line(version.id)
        base = found(session, Version, line[-1])
        on_line = select(Version.update_id).where(Version.id.in_(line))
        updates = [made for made in session.scalars(on_line) if made is not None]
        learned = UpdateInput.update_id.in_(updates)
        count = select(
            func.count(UpdateInput.rating_sequence.distinct()),
            func.count(UpdateInput.rater_id.distinct()),
        )
        ratings, raters = session.execute(count.where(learned)).one()
        sources = session.scalars(select(UpdateInput.source).where(learned).distinct()).all()
        config = _config(session, project, version)
        before, after = (made.metrics.get("probe", {}) for made in (base, version))
    return CardFacts(
        project=project.name,
        model=project.model,
        model_revision=project.model_revision,
        version=version.number,
        name=version.name,
        config=config,
        prompts=[prompt.text for prompt in prompts.active(db, project.id)],
        updates=len(updates),
        ratings=ratings,
        raters=raters,
        sources=sorted(sources),
        agreement=reliability.agreement(db, project.id),
        before=before,
        after=after,
    )


def _config(session: Session, project: Project, version: Version) -> ProjectConfig:
    update = session.get(Update, version.update_id or "")
    if update is None:
        return revision_of(session, project).config
    return ProjectConfig.from_stored(found(session, SettingsRevision, update.revision_id).values)
