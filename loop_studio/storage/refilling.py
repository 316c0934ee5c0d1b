"""Keeping groups ready ahead of the raters: which rollouts to ask for, of which prompts."""

from __future__ import annotations

import heapq

from sqlalchemy import ColumnElement, ScalarSelect, func, select, update
from sqlalchemy.orm import Session

from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.projects import Revision, revision_of
from loop_studio.storage.schema import Assignment, Group, Job, Project, Prompt, Room, now

ROLLOUT_PRIORITY = 10  # also between the micro-batches of an update
UPDATE_PRIORITY = 11  # not behind a buffer: an update lets raters who run short go first

WAITED_FOR_PRIORITY = UPDATE_PRIORITY + 1

NO_HUMAN_WEIGHT = "People's ratings have no weight in the reward, so no groups are made for them."
ARCHIVED = "The project is archived."
QUIET = "Quiet hours until {until}: groups are made again then, or change the settings."
NO_PROMPTS = "The project has no prompts; add some in the settings."


def refill(db: Database, project_id: str) -> int:
    """Ask for rollouts until the buffer is full; returns how many were asked for."""
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        return refill_in(session, project, revision_of(session, project))


def refill_in(session: Session, project: Project, revision: Revision) -> int:
    """`refill` within a transaction that holds the project."""
    session.flush()
    active = project.active_until is not None and project.active_until > now()
    if not active or paused_reason(session, project, revision):
        return 0
    wanted = revision.config.buffer_groups
    live = Group.version_id == project.live_version_id
    ready = count_ready(session, project.id, revision.config.overlap, live, at_most=wanted)
    lacking = wanted - ready - count_rollouts(session, project.id)
    if lacking <= 0:
        return 0
    for prompt_id in next_prompts(session, project.id, lacking):
        session.add(
            Job(
                kind="rollout",
                project_id=project.id,
                payload={"prompt_id": prompt_id},
                priority=ROLLOUT_PRIORITY,
            )
        )
        session.flush()
    return lacking


def hurry(session: Session, project_id: str) -> None:
    """A rater waits: one rollout of this project goes before everything else.

    One at a time: a rater who is quicker than the model would keep every update waiting.
    """
    rollouts = (Job.project_id == project_id, Job.kind == "rollout")
    if session.scalar(select(Job.id).where(*rollouts, Job.state == "running").limit(1)):
        return
    queued = select(Job.id).where(*rollouts, Job.state == "queued")
    first = queued.order_by(Job.priority.desc(), Job.created_at).limit(1)
    changed(
        session,
        update(Job).where(Job.id == first.scalar_subquery()).values(priority=WAITED_FOR_PRIORITY),
    )


def paused_reason(session: Session, project: Project, revision: Revision) -> str:
    """Why no groups are made for this project; empty if they may be."""
    if project.archived:
        return ARCHIVED
    if told := project.generation_error or lacking_room(session):
        return told
    if not revision.reward.asks_people:
        return NO_HUMAN_WEIGHT
    if revision.config.is_quiet(now()):
        return QUIET.format(until=revision.config.quiet_until)
    listed = select(Prompt.id).where(Prompt.project_id == project.id, Prompt.active).limit(1)
    return "" if session.scalar(listed) else NO_PROMPTS


def lacking_room(session: Session) -> str:
    """Why nothing is made for want of room on the disk; empty while there is room."""
    return session.scalar(select(Room.sentence)) or ""


def count_ready(
    session: Session,
    project_id: str,
    overlap: int,
    *more: ColumnElement[bool],
    at_most: int | None = None,
) -> int:
    """How many groups could be served at once to a rater who has seen none, up to `at_most`."""
    free = [*open_groups(project_id, overlap), Group.judged_by + holders() < overlap, *more]
    ready = select(Group.id).where(*free).limit(at_most).subquery()
    return session.scalar(select(func.count()).select_from(ready)) or 0


def count_rollouts(session: Session, project_id: str) -> int:
    """Groups that are being generated or waiting for it."""
    pending = (
        Job.project_id == project_id,
        Job.kind == "rollout",
        Job.state.in_(("queued", "running")),
    )
    return session.scalar(select(func.count()).select_from(Job).where(*pending)) or 0


def open_groups(project_id: str, overlap: int, kind: str = "group") -> list[ColumnElement[bool]]:
    """Groups that may be served and lack judges; answered by the partial index."""
    return [
        Group.project_id == project_id,
        Group.retired_reason.is_(None),
        Group.used_by_update_id.is_(None),
        Group.judged_by < overlap,
        Group.kind == kind,
    ]


def holders(except_rater: str | None = None) -> ScalarSelect[int]:
    """How many raters hold a group now, as a subquery of a query on groups."""
    held = [Assignment.group_id == Group.id, Assignment.held_until > now()]
    if except_rater is not None:
        held.append(Assignment.rater_id != except_rater)
    return select(func.count()).select_from(Assignment).where(*held).scalar_subquery()


def next_prompts(session: Session, project_id: str, count: int) -> list[str]:
    """Fair round robin: the prompts that had the fewest turns, each counted as it is drawn."""
    listed = session.scalars(
        select(Prompt).where(Prompt.project_id == project_id, Prompt.active)
    ).all()
    queue = [(prompt.turns, prompt.position, prompt.id, prompt) for prompt in listed]
    heapq.heapify(queue)
    drawn = []
    for _ in range(count):
        _, position, prompt_id, prompt = queue[0]
        prompt.turns += 1
        heapq.heapreplace(queue, (prompt.turns, position, prompt_id, prompt))
        drawn.append(prompt_id)
    return drawn
