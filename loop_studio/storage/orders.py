"""Orders: a group of a prompt and a version of one's own choosing, for the rating queue.

An order is its job. The group is made with the settings in force, as every group that may teach.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, NotFound
from loop_studio.storage import jobs
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import keep_active, revision_of
from loop_studio.storage.prompts import check
from loop_studio.storage.refilling import NO_PROMPTS, paused_reason
from loop_studio.storage.schema import Job, Project, Prompt
from loop_studio.storage.tree import numbered, present

_PRIORITY = 2  # someone waits for it, as for samples


def create(
    db: Database,
    project_id: str,
    prompt: str,
    unknown_words: list[str],
    version_number: int | None,
    seed: int | None,
    rater: str | None,
) -> Job:
    """Queue a group; with a `rater` it comes next for that one. `seed` is its first picture's.

    Raises Conflict `generation_paused` while no group of the project could be judged.
    """
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        reason = paused_reason(session, project, revision_of(session, project))
        if reason and reason != NO_PROMPTS:
            raise Conflict(reason, "generation_paused")
        version = (
            present(session, project.live_version_id or "")
            if version_number is None
            else numbered(session, project.id, version_number)
        )
        keep_active(project)
        payload = {
            "order": True,
            "prompt_id": _prompt(session, project, prompt, unknown_words).id,
            "version_id": version.id,
            "seed": seed,
            "rater": rater,
        }
        job = Job(kind="samples", project_id=project.id, payload=payload, priority=_PRIORITY)
        session.add(job)
        return job


def get(db: Database, order_id: str) -> Job:
    """One order, or NotFound."""
    job = jobs.get(db, order_id)
    if "order" not in job.payload:
        raise NotFound(f"There is no order {order_id}.")
    return job


def _prompt(session: Session, project: Project, text: str, unknown_words: list[str]) -> Prompt:
    """The project's prompt of this text; one that is not on its list is not put there."""
    checked = check(text)
    wanted = select(Prompt).where(Prompt.project_id == project.id, Prompt.text == checked)
    known = session.scalars(wanted).first()
    if known is not None:
        return known
    made = Prompt(
        project_id=project.id,
        text=checked,
        unknown_words=unknown_words,
        active=False,
        position=0,
        turns=0,
    )
    session.add(made)
    session.flush()
    return made
