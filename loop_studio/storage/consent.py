"""What raters of a project agree to before their first rating: each version of the text is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, Forbidden
from loop_studio.storage import raters
from loop_studio.storage.database import Database, found
from loop_studio.storage.schema import Consent, ConsentText, Project, Rater

LONGEST_TEXT = 20_000  # characters
_NEEDED = "Read what this project asks you to agree to, and agree to it, before you judge."
_CHANGED = "The text has changed since you read it; read it again."


@dataclass(frozen=True)
class ConsentState:
    """The text in force, and when this rater agreed to it; number 0: nobody is asked."""

    number: int
    text: str
    agreed_at: datetime | None


def state(db: Database, project_id: str, rater_name: str | None = None) -> ConsentState:
    """The text in force, and whether this rater has agreed to it."""
    with db.read() as session:
        found(session, Project, project_id)
        text = _in_force(session, project_id)
        if text is None:
            return ConsentState(0, "", None)
        rater = raters.known(session, project_id, rater_name) if rater_name else None
        given = session.get(Consent, (rater.id, text.id)) if rater else None
        return ConsentState(text.number, text.text, given.created_at if given else None)


def set_text(db: Database, project_id: str, text: str) -> None:
    """Put a text in force, as a new version; the same one again changes nothing."""
    with db.write() as session:
        found(session, Project, project_id, lock=True)
        last = _last(session, project_id)
        if text.strip() == (last.text if last else ""):
            return
        number = (last.number if last else 0) + 1
        session.add(ConsentText(project_id=project_id, number=number, text=text.strip()))


def agree(db: Database, project_id: str, rater_name: str, number: int) -> ConsentState:
    """This rater has read version `number` of the text and agrees. Repeatable.

    Raises Conflict `consent_changed` where another version is in force.
    """
    with db.write() as session:
        found(session, Project, project_id, lock=True)
        text = _in_force(session, project_id)
        if text is None or text.number != number:
            raise Conflict(_CHANGED, "consent_changed")
        rater = raters.named(session, project_id, rater_name)
        given = session.get(Consent, (rater.id, text.id))
        if given is None:
            given = Consent(rater_id=rater.id, text_id=text.id)
            session.add(given)
            session.flush()
        return ConsentState(text.number, text.text, given.created_at)


def require(session: Session, rater: Rater) -> None:
    """Forbidden `consent_needed` where the project has a text that this rater did not agree to."""
    text = _in_force(session, rater.project_id)
    if text is not None and session.get(Consent, (rater.id, text.id)) is None:
        raise Forbidden(_NEEDED, "consent_needed")


def _in_force(session: Session, project_id: str) -> ConsentText | None:
    last = _last(session, project_id)
    return last if last is not None and last.text else None


def _last(session: Session, project_id: str) -> ConsentText | None:
    wanted = select(ConsentText).where(ConsentText.project_id == project_id)
    return session.scalars(wanted.order_by(ConsentText.number.desc()).limit(1)).one_or_none()
