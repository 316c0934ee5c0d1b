"""Sessions of browsers and tokens of programs: random bits, of which only the hash is stored."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import delete, select

from loop_studio.errors import Forbidden, Invalid, NotFound
from loop_studio.storage import accounts
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.roles import ACCOUNT_ROLES, BOOTSTRAP, SCOPES, Principal
from loop_studio.storage.schema import ApiToken, User, UserSession, now

LIFETIME = timedelta(days=30)
TOKEN_PREFIX = "loop_"  # how a program's token is told from the shared password


def digest(token: str) -> str:
    """What is stored of a token; its 256 random bits need no slower hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def begin(db: Database, user_id: str | None, password_mark: str | None = None) -> str:
    """A new session's token. Those that have run out are forgotten meanwhile."""
    token = secrets.token_urlsafe(32)
    with db.write() as session:
        changed(session, delete(UserSession).where(UserSession.expires_at <= now()))
        if user_id is not None:
            accounts.signed_in(session, user_id)
        session.add(
            UserSession(
                token_hash=digest(token),
                user_id=user_id,
                password_mark=password_mark,
                expires_at=now() + LIFETIME,
            )
        )
    return token


def principal(db: Database, token: str, password_mark: str | None = None) -> Principal | None:
    """Whose session this is. One of the shared password ends when that password changes."""
    with db.read() as session:
        row = session.get(UserSession, digest(token))
        if row is None or row.expires_at <= now():
            return None
        if row.user_id is None:
            is_same = password_mark is not None and row.password_mark == password_mark
            return BOOTSTRAP if is_same else None
        return _of(found(session, User, row.user_id))


def end(db: Database, token: str) -> None:
    """Sign this browser out."""
    with db.write() as session:
        changed(session, delete(UserSession).where(UserSession.token_hash == digest(token)))


def make_token(db: Database, user_id: str, name: str, scope: str) -> tuple[ApiToken, str]:
    """A new token and its row; the token itself is told this once. Raises Invalid, Forbidden."""
    accounts.check_name(name)
    if scope not in SCOPES:
        raise Invalid(f"scope must be one of {', '.join(SCOPES)}.")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    with db.write() as session:
        owner = found(session, User, user_id)
        if SCOPES[scope] > ACCOUNT_ROLES[owner.role]:
            raise Forbidden(f"Your role, {owner.role}, allows less than the scope {scope}.")
        row = ApiToken(user_id=user_id, name=name.strip(), scope=scope, token_hash=digest(token))
        session.add(row)
    return row, token


def tokens(db: Database, user_id: str | None = None) -> list[tuple[ApiToken, str]]:
    """Tokens with their owners' names, oldest first: of one account, or of all."""
    with db.read() as session:
        wanted = select(ApiToken, User.name).join(User, User.id == ApiToken.user_id)
        if user_id is not None:
            wanted = wanted.where(ApiToken.user_id == user_id)
        rows = session.execute(wanted.order_by(ApiToken.created_at, ApiToken.id))
        return [(row, name) for row, name in rows]


def revoke_token(db: Database, token_id: str, owner_id: str | None = None) -> None:
    """Forget a token; of this owner, where one is named. Raises NotFound."""
    with db.write() as session:
        row = session.get(ApiToken, token_id)
        if row is None or owner_id not in {None, row.user_id}:
            raise NotFound(f"There is no token {token_id}.")
        session.delete(row)


def by_token(db: Database, token: str) -> Principal | None:
    """Whom a program's token stands for."""
    with db.read() as session:
        wanted = select(ApiToken).where(ApiToken.token_hash == digest(token))
        row = session.scalars(wanted).one_or_none()
        return None if row is None else _of(found(session, User, row.user_id), row.scope)


def _of(user: User, scope: str | None = None) -> Principal | None:
    if not user.active:
        return None
    role = ACCOUNT_ROLES[user.role]
    most = role if scope is None else SCOPES[scope]
    return Principal(
        min(role, most),
        user.name,
        user.id,
        scope=scope if most < role else None,
        by_token=scope is not None,
    )
