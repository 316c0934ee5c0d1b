"""Projects, and the append-only revisions of their settings and reward weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from loop_studio.config import ProjectConfig
from loop_studio.errors import Invalid
from loop_studio.storage import audit, content, scoring
from loop_studio.storage import prompts as prompt_list
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.reward_weights import RewardWeights as RewardWeights
from loop_studio.storage.schema import Group, Job, Project, SettingsRevision, Version, now

STARTER_ID = "starter"
ACTIVE_FOR = timedelta(minutes=30)
_RENEW_WITHIN = timedelta(minutes=29)

_RETIRED = "The generation settings were changed before this group was judged."


@dataclass(frozen=True)
class Revision:
    """The settings and the reward weights as they were at one time."""

    config: ProjectConfig
    reward: RewardWeights
    number: int


def ensure_starter(db: Database, model: str, prompts: Sequence[tuple[str, list[str]]]) -> None:
    """Make the project `Starter` unless it was ever made."""
    with db.write() as session:
        if session.get(Project, STARTER_ID) is None:
            _create(session, Project(id=STARTER_ID, name="Starter", model=model), prompts, {})


def create(
    db: Database,
    name: str,
    model: str,
    prompts: Sequence[tuple[str, list[str]]],
    values: Mapping[str, Any],
    weights: RewardWeights | None = None,
    **columns: Any,
) -> Project:
    """A project with version 0 and its first settings; `prompts` are (text, unknown words)."""
    with db.write() as session:
        project = Project(name=_name(name), model=model, **columns)
        _create(session, project, prompts, values, weights)
        audit.note(session, "project", f"Made the project {project.name}.", project.id)
        return project


def get(db: Database, project_id: str) -> Project:
    """One project, or NotFound."""
    with db.read() as session:
        return found(session, Project, project_id)


def all(db: Database) -> list[Project]:
    """Every project, oldest first; the starter is the oldest."""
    with db.read() as session:
        oldest_first = (Project.id != STARTER_ID, Project.created_at, Project.id)
        return list(session.scalars(select(Project).order_by(*oldest_first)))


def active(db: Database) -> list[Project]:
    """Projects that someone has rated in lately: those are kept refilled."""
    with db.read() as session:
        wanted = select(Project).where(Project.active_until > now(), Project.archived.is_(False))
        return list(session.scalars(wanted))


def change(
    db: Database,
    project_id: str,
    name: str | None = None,
    archived: bool | None = None,
    settings: Mapping[str, Any] | None = None,
    guidelines: str | None = None,
) -> Project:
    """Change what is given. Settings are merged and make a new revision.

    New generation settings retire the groups that nobody judged yet and cancel queued rollouts;
    the archive cancels them too.
    """
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        if settings:
            _change_settings(session, project, settings)
        if name is not None and _name(name) != project.name:
            audit.note(session, "project", f"Renamed {project.name} to {name}.", project.id)
            project.name = name
        if archived is not None and archived != project.archived:
            done = "Archived" if archived else "Took out of the archive:"
            audit.note(session, "project", f"{done} {project.name}.", project.id)
            project.archived = archived
            if archived:
                cancel_rollouts(session, project.id)
        if guidelines is not None and guidelines.strip() != project.guidelines:
            audit.note(session, "project", "Changed the guidelines for raters.", project.id)
            project.guidelines = guidelines.strip()
        return project


def config(db: Database, project_id: str) -> ProjectConfig:
    """The settings in force."""
    with db.read() as session:
        return revision_of(session, found(session, Project, project_id)).config


def reward(db: Database, project_id: str) -> RewardWeights:
    """The reward weights in force."""
    with db.read() as session:
        return revision_of(session, found(session, Project, project_id)).reward


def set_reward(db: Database, project_id: str, weights: RewardWeights) -> None:
    """Put new reward weights in force, as a new revision; a source that is new to it scores all."""
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        before = revision_of(session, project)
        if weights.checked() == before.reward:
            return
        _revise(session, project, before.config, weights)
        told = audit.differences(before.reward.values(), weights.values())
        audit.note(session, "reward", told, project.id)
        known = before.reward.sources()
        if any(known.get(name) != values for name, values in weights.sources().items()):
            scoring.queue(session, project.id, project.revision_id or "")


def revision(db: Database, revision_id: str) -> Revision:
    """The settings and weights that a group or an update was made with."""
    with db.read() as session:
        return _parsed(found(session, SettingsRevision, revision_id))


def pin_model(db: Database, project_id: str, revision: str) -> None:
    """Keep the commit that a hub model had when it was first loaded; a later one changes nothing.

    All that a project has learned and stored is of that very model.
    """
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        project.model_revision = project.model_revision or revision


def set_generation_error(db: Database, project_id: str, sentence: str | None) -> None:
    """Why no group can be made, and none is asked for; None once one can.

    A new live version and new generation settings clear it too: what failed may work with them.
    """
    with db.write() as session:
        found(session, Project, project_id).generation_error = sentence
        if sentence is not None:
            cancel_rollouts(session, project_id)


def keep_active(project: Project) -> None:
    """Someone is here: the project stays refilled for 30 minutes. Writes once a minute at most."""
    moment = now()
    if project.active_until is None or project.active_until < moment + _RENEW_WITHIN:
        project.active_until = moment + ACTIVE_FOR


def revision_of(session: Session, project: Project) -> Revision:
    """The revision in force, within a transaction."""
    assert project.revision_id is not None
    return _parsed(found(session, SettingsRevision, project.revision_id))


def _create(
    session: Session,
    project: Project,
    prompts: Sequence[tuple[str, list[str]]],
    values: Mapping[str, Any],
    weights: RewardWeights | None = None,
) -> None:
    project.active_until = now() + ACTIVE_FOR
    session.add(project)
    session.flush()
    reward = (weights or RewardWeights()).checked()
    _revise(session, project, ProjectConfig.from_values(values), reward)
    base = Version(project_id=project.id, number=0)
    session.add(base)
    session.flush()
    project.live_version_id = base.id
    if prompts:
        prompt_list.put(session, project.id, prompts)


def _change_settings(session: Session, project: Project, settings: Mapping[str, Any]) -> None:
    before = revision_of(session, project)
    after = before.config.merged(settings)
    if after == before.config:
        return
    _revise(session, project, after, before.reward)
    told = audit.differences(before.config.values(), after.values())
    audit.note(session, "settings", told, project.id)
    if after.content != before.config.content:
        project.generation_error = None
        content.follow(session, project, after.content, partial(outdated_reason, session, project))
    if after.generation() == before.config.generation():
        return
    project.generation_error = None
    unjudged = (
        Group.project_id == project.id,
        Group.judged_by == 0,
        Group.used_by_update_id.is_(None),
        Group.retired_reason.is_(None),
    )
    changed(session, update(Group).where(*unjudged).values(retired_reason=_RETIRED))
    cancel_rollouts(session, project.id)


def cancel_rollouts(session: Session, project_id: str | None = None) -> None:
    """End the rollouts that wait, of one project or of all."""
    rollouts = [Job.kind == "rollout", Job.state == "queued"]
    if project_id is not None:
        rollouts.append(Job.project_id == project_id)
    changed(session, update(Job).where(*rollouts).values(state="cancelled", finished_at=now()))


def outdated_reason(session: Session, project: Project, made_with: str) -> str | None:
    """Why a group made under revision `made_with` may not be served; None if it may."""
    if made_with == project.revision_id:
        return None
    then = _parsed(found(session, SettingsRevision, made_with)).config.generation()
    same = then == revision_of(session, project).config.generation()
    return None if same else _RETIRED


def _revise(session: Session, project: Project, new: ProjectConfig, weights: RewardWeights) -> None:
    last = select(func.max(SettingsRevision.number)).where(
        SettingsRevision.project_id == project.id
    )
    row = SettingsRevision(
        project_id=project.id,
        number=(session.scalar(last) or 0) + 1,
        values=new.values(),
        reward=weights.values(),
    )
    session.add(row)
    session.flush()
    project.revision_id = row.id


def _parsed(row: SettingsRevision) -> Revision:
    stored = row.reward
    weights = RewardWeights(
        float(stored["human"]), dict(stored["models"]), dict(stored.get("parameters", {}))
    )
    return Revision(ProjectConfig.from_stored(row.values), weights, row.number)


def _name(name: str) -> str:
    if not name.strip() or len(name) > 200:
        raise Invalid("name must have 1 to 200 characters.")
    return name
