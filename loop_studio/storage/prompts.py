"""The prompts of a project. One taken off the list stays with the groups that were made of it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.errors import Invalid
from loop_studio.storage import audit
from loop_studio.storage.database import Database, found
from loop_studio.storage.schema import Project, Prompt

LONGEST = 1000  # characters of a prompt
MOST = 2000  # prompts on a list


def active(db: Database, project_id: str) -> list[Prompt]:
    """The list in force, in its order."""
    with db.read() as session:
        found(session, Project, project_id)
        wanted = select(Prompt).where(Prompt.project_id == project_id, Prompt.active)
        return list(session.scalars(wanted.order_by(Prompt.position)))


def get(db: Database, prompt_id: str) -> Prompt:
    """One prompt, on the list or not."""
    with db.read() as session:
        return found(session, Prompt, prompt_id)


def replace(
    db: Database, project_id: str, prompts: Sequence[tuple[str, list[str]]]
) -> list[Prompt]:
    """Put a new list of (text, unknown words) in force; a text that was known keeps its id."""
    if not prompts:
        raise Invalid("prompts must hold at least one prompt.")
    with db.write() as session:
        found(session, Project, project_id, lock=True)
        listed = put(session, project_id, prompts)
        _note(session, project_id, len(listed))
        return listed


def add(db: Database, project_id: str, prompts: Sequence[tuple[str, list[str]]]) -> None:
    """Put (text, unknown words) at the end of the list; a text that is on it stays where it is.

    Raises Invalid when the list would become too long; then nothing is added.
    """
    with db.write() as session:
        found(session, Project, project_id, lock=True)
        wanted = select(Prompt).where(Prompt.project_id == project_id, Prompt.active)
        listed = [
            (row.text, row.unknown_words)
            for row in session.scalars(wanted.order_by(Prompt.position))
        ]
        count = len(put(session, project_id, [*listed, *prompts]))
        if count > MOST:
            raise Invalid(f"A list holds at most {MOST:,} prompts; take some off it first.")
        _note(session, project_id, count)


def put(
    session: Session, project_id: str, prompts: Sequence[tuple[str, list[str]]]
) -> list[Prompt]:
    """`replace` within a transaction. Newcomers take their turn with the others, not before."""
    rows = session.scalars(select(Prompt).where(Prompt.project_id == project_id)).all()
    known = {row.text: row for row in rows}
    turns = session.scalar(
        select(func.min(Prompt.turns)).where(Prompt.project_id == project_id, Prompt.active)
    )
    for row in rows:
        row.active = False
    listed: dict[str, Prompt] = {}
    for text, unknown_words in prompts:
        if (checked := check(text)) in listed:
            continue
        row = known.get(checked) or Prompt(project_id=project_id, text=checked, turns=0)
        row.unknown_words, row.active, row.position = unknown_words, True, len(listed)
        row.turns = max(row.turns, turns or 0)
        listed[checked] = row
    session.add_all(listed.values())
    session.flush()
    return list(listed.values())


def check(text: str) -> str:
    """The prompt without surrounding blanks; Invalid when it is empty or too long."""
    stripped = text.strip()
    if not stripped:
        raise Invalid("A prompt must not be empty.")
    if len(stripped) > LONGEST:
        raise Invalid(f"A prompt has at most {LONGEST} characters; this one has {len(stripped)}.")
    return stripped


def _note(session: Session, project_id: str, count: int) -> None:
    prompts = "1 prompt" if count == 1 else f"{count:,} prompts"
    audit.note(
        session, "prompts", f"Changed the list of prompts; it has {prompts} now.", project_id
    )
