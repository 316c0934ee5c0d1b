"""Invitations: links that make an account once, or give an account a new password once."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.errors import Gone, Invalid
from loop_studio.storage import accounts
from loop_studio.storage.database import Database, found
from loop_studio.storage.roles import ACCOUNT_ROLES
from loop_studio.storage.schema import Invitation, User, now

LONGEST_NOTE = 80
MOST_DAYS = 30

_NEW = "Ask an administrator of this studio for a new one."
_USED = f"This link was used already; it works once. {_NEW}"
_REVOKED = f"This link was withdrawn. {_NEW}"
_EXPIRED = f"This link has run out. {_NEW}"


def create(db: Database, role: str, note: str, days: int) -> Invitation:
    """Invite someone. Raises Invalid."""
    if role not in ACCOUNT_ROLES:
        raise Invalid(f"role must be one of {', '.join(ACCOUNT_ROLES)}.")
    with db.write() as session:
        invitation = Invitation(role=role, note=_note(note), expires_at=_end(days))
        session.add(invitation)
        return invitation


def renew_password(db: Database, user_id: str, days: int = 1) -> Invitation:
    """A link by which someone chooses a new password; the old one works until then."""
    with db.write() as session:
        user = found(session, User, user_id)
        invitation = Invitation(
            role=user.role, user_id=user.id, note=user.name, expires_at=_end(days)
        )
        session.add(invitation)
        return invitation


def waiting(db: Database) -> list[Invitation]:
    """Those that can still be used, oldest first."""
    with db.read() as session:
        open_ones = (
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > now(),
        )
        return list(session.scalars(select(Invitation).where(*open_ones).order_by(*_OLDEST)))


def revoke(db: Database, invitation_id: str) -> None:
    """Withdraw one; repeatable, and what it made stays."""
    with db.write() as session:
        invitation = found(session, Invitation, invitation_id)
        invitation.revoked_at = invitation.revoked_at or now()


def look(db: Database, invitation_id: str) -> tuple[Invitation, User | None]:
    """One that can be used, and the account whose password it renews. Raises NotFound, Gone."""
    with db.read() as session:
        return _usable(session, invitation_id)


def accept(db: Database, invitation_id: str, name: str, password: str) -> User:
    """Make the account, or renew its password. Raises Gone, Invalid, Conflict."""
    invitation, owner = look(db, invitation_id)
    secret = accounts.prepared(owner.name if owner else name, invitation.role, password)
    with db.write() as session:
        invitation, owner = _usable(session, invitation_id, lock=True)
        invitation.used_at = now()
        if owner is None:
            return accounts.add(session, name, invitation.role, secret)
        accounts.put_password(session, owner, secret)
        return owner


_OLDEST = (Invitation.created_at, Invitation.id)


def _usable(
    session: Session, invitation_id: str, lock: bool = False
) -> tuple[Invitation, User | None]:
    invitation = found(session, Invitation, invitation_id, lock=lock)
    if invitation.used_at is not None:
        raise Gone(_USED, "link_used")
    if invitation.revoked_at is not None:
        raise Gone(_REVOKED, "link_revoked")
    if invitation.expires_at <= now():
        raise Gone(_EXPIRED, "link_expired")
    owner = None if invitation.user_id is None else found(session, User, invitation.user_id)
    if owner is not None and not owner.active:
        raise Gone(_REVOKED, "link_revoked")
    return invitation, owner


def _note(note: str) -> str:
    if len(note) > LONGEST_NOTE:
        raise Invalid(f"note must have at most {LONGEST_NOTE} characters.")
    return note.strip()


def _end(days: int) -> datetime:
    if not 1 <= days <= MOST_DAYS:
        raise Invalid(f"days must be 1 to {MOST_DAYS}.")
    return now() + timedelta(days=days)
