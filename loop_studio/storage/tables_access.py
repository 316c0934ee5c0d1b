"""Tables of who may do what: accounts, their sessions and tokens, invitations, guests.

No secret is stored: of passwords argon2's hash, of sessions and tokens SHA-256 of their random
bits. The secret half of a link is derived from its id and the key in the data folder.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, true
from sqlalchemy.orm import Mapped, mapped_column

from loop_studio.storage.columns import Base, new_id, now, one_of
from loop_studio.storage.roles import ACCOUNT_ROLES, SCOPES


class User(Base):
    """An account; never deleted, since its judgements keep its name."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(80))
    name_key: Mapped[str] = mapped_column(Text, unique=True)  # what two names may not share
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True, server_default=true())
    signed_in_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (one_of("role", tuple(ACCOUNT_ROLES)),)


class UserSession(Base):
    """A browser that is signed in: as a user, or with the shared password of `password_mark`."""

    __tablename__ = "user_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    password_mark: Mapped[str | None] = mapped_column(String(64))
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=now)


class ApiToken(Base):
    """A program's way in, for its owner and at most for its scope."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    scope: Mapped[str] = mapped_column(String(16))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (one_of("scope", tuple(SCOPES)),)


class Invitation(Base):
    """A link that makes one account, or, with a `user_id`, gives that one a new password."""

    __tablename__ = "invitations"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    role: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    note: Mapped[str] = mapped_column(String(80), default="")
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (one_of("role", tuple(ACCOUNT_ROLES)),)


class GuestLink(Base):
    """A link by which anyone may rate one project, for a while."""

    __tablename__ = "guest_links"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    note: Mapped[str] = mapped_column(String(80), default="")
    most_ratings: Mapped[int | None]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Guest(Base):
    """Someone who came by a guest link, and the session of their browser."""

    __tablename__ = "guests"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    link_id: Mapped[str] = mapped_column(ForeignKey("guest_links.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))  # as their judgements bear it
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
