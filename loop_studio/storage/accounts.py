"""Accounts: people by name, each with a role and a password; always one administrator at least."""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, Invalid
from loop_studio.storage import passwords
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.roles import ACCOUNT_ROLES, Role
from loop_studio.storage.schema import ApiToken, User, UserSession, now

LONGEST_NAME = 80
_GUEST = re.compile(r"\(guest( \d+)?\)$")
_LAST = "This is the last administrator; make someone else one first."


def exist(db: Database) -> bool:
    """Whether anyone has an account, so that everyone has to sign in."""
    with db.read() as session:
        return session.scalar(select(User.id).limit(1)) is not None


def all(db: Database) -> list[User]:
    """Every account, oldest first."""
    with db.read() as session:
        return list(session.scalars(select(User).order_by(User.created_at, User.id)))


def get(db: Database, user_id: str) -> User:
    """One account, or NotFound."""
    with db.read() as session:
        return found(session, User, user_id)


def named(db: Database, name: str) -> User | None:
    """The account of this name, in whatever case it is written."""
    with db.read() as session:
        return _named(session, name)


def create(db: Database, name: str, role: str, password: str) -> User:
    """Make an account. Invalid for a bad name, role or password; Conflict for a name in use."""
    secret = prepared(name, role, password)
    with db.write() as session:
        return add(session, name, role, secret)


def prepared(name: str, role: str, password: str) -> str:
    """The password as it is stored, once name, role and password can be an account's.

    Takes a tenth of a second, so it is called before a transaction.
    """
    check_name(name)
    if role not in ACCOUNT_ROLES:
        raise Invalid(f"role must be one of {', '.join(ACCOUNT_ROLES)}.")
    passwords.check(password, name)
    return passwords.hashed(password)


def add(session: Session, name: str, role: str, password_hash: str) -> User:
    """`create` within a transaction, of what was `prepared`."""
    if _named(session, name) is not None:
        raise Conflict(f"There is someone called {name} already; choose another name.", "name_used")
    user = User(name=name.strip(), name_key=key(name), role=role, password_hash=password_hash)
    session.add(user)
    session.flush()
    return user


def check_name(name: str) -> None:
    """Raise Invalid unless `name` can be an account's."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid(f"name must have 1 to {LONGEST_NAME} characters that can be seen.")
    if _GUEST.search(name.strip()):
        raise Invalid("Names that end in (guest) are kept for guests; choose another.")


def change(db: Database, user_id: str, role: str | None = None, active: bool | None = None) -> User:
    """Give another role, deactivate or reactivate; the last administrator stays one.

    Whoever is deactivated is signed out everywhere, and their tokens are gone.
    """
    with db.write() as session:
        everyone = session.scalars(select(User).with_for_update()).all()
        user = found(session, User, user_id)
        administrators = [one for one in everyone if _administers(one)]
        user.role = role or user.role
        user.active = user.active if active is None else active
        if administrators == [user] and not _administers(user):
            raise Conflict(_LAST, "last_administrator")
        if not user.active:
            _end_sessions(session, user.id)
            changed(session, delete(ApiToken).where(ApiToken.user_id == user.id))
        return user


def change_password(db: Database, user_id: str, password: str) -> None:
    """A new password ends every session that the old one began."""
    passwords.check(password, get(db, user_id).name)
    secret = passwords.hashed(password)
    with db.write() as session:
        put_password(session, found(session, User, user_id), secret)


def put_password(session: Session, user: User, password_hash: str) -> None:
    """`change_password` within a transaction."""
    user.password_hash = password_hash
    _end_sessions(session, user.id)


def has_password(db: Database, name: str, password: str) -> User | None:
    """The active account of this name and password; as slow to say no to any other."""
    user = named(db, name)
    is_right = passwords.matches(user.password_hash if user else None, password)
    return user if user is not None and is_right and user.active else None


def sign_out_everywhere(db: Database, user_id: str | None) -> None:
    """End every session of an account; without one, every session of the shared password."""
    with db.write() as session:
        _end_sessions(session, user_id)


def signed_in(session: Session, user_id: str) -> None:
    """Remember when this account was last signed in to."""
    found(session, User, user_id).signed_in_at = now()


def _administers(user: User) -> bool:
    return user.active and user.role == Role.ADMINISTRATOR.word


def _end_sessions(session: Session, user_id: str | None) -> None:
    mine = UserSession.user_id.is_(None) if user_id is None else UserSession.user_id == user_id
    changed(session, delete(UserSession).where(mine))


def _named(session: Session, name: str) -> User | None:
    return session.scalars(select(User).where(User.name_key == key(name))).one_or_none()


def key(name: str) -> str:
    """What two names may not share: case, width and spacing aside, they would look alike."""
    return " ".join(unicodedata.normalize("NFKC", name[: 4 * LONGEST_NAME]).casefold().split())
