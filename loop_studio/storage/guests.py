"""Guests: people without an account who rate one project, by a link that runs out."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from loop_studio.errors import Forbidden, Gone, Invalid
from loop_studio.storage.database import Database, found
from loop_studio.storage.invitations import LONGEST_NOTE
from loop_studio.storage.roles import Principal, Role
from loop_studio.storage.schema import (
    Group,
    Guest,
    GuestLink,
    Image,
    Project,
    Rater,
    Rating,
    Samples,
    Update,
    now,
)
from loop_studio.storage.sessions import digest

MOST_HOURS = 24 * 90
MOST_RATINGS = 1_000_000
MOST_GUESTS = 1000  # by one link
LONGEST_NAME = 60
TOKEN_PREFIX = "guest_"

OTHER_PROJECT = "A guest may rate in the project of their link alone."
_ASK = "Ask whoever sent it for a new one."
_REVOKED = f"This guest link was withdrawn. {_ASK}"
_EXPIRED = f"This guest link has run out. {_ASK}"
_CROWDED = f"{MOST_GUESTS:,} guests came by this link, which is all it takes. {_ASK}"
_FULL = "All ratings that this link was made for are given. Thank you; you can close the page."


@dataclass(frozen=True)
class LinkView:
    """A link, what it leads to and what came of it."""

    link: GuestLink
    project: str
    guests: int
    ratings: int


def create(
    db: Database, project_id: str, note: str, hours: int, most_ratings: int | None
) -> GuestLink:
    """A new link to rate one project. Raises NotFound, Invalid."""
    if not 1 <= hours <= MOST_HOURS:
        raise Invalid(f"hours must be 1 to {MOST_HOURS:,}.")
    if len(note) > LONGEST_NOTE:
        raise Invalid(f"note must have at most {LONGEST_NOTE} characters.")
    if most_ratings is not None and not 1 <= most_ratings <= MOST_RATINGS:
        raise Invalid(f"most_ratings must be 1 to {MOST_RATINGS:,}.")
    with db.write() as session:
        link = GuestLink(
            project_id=found(session, Project, project_id).id,
            note=note.strip(),
            most_ratings=most_ratings,
            expires_at=now() + timedelta(hours=hours),
        )
        session.add(link)
        return link


def links(db: Database) -> list[LinkView]:
    """The links that still work, oldest first."""
    with db.read() as session:
        works = GuestLink.revoked_at.is_(None), GuestLink.expires_at > now()
        wanted = select(GuestLink).where(*works).order_by(GuestLink.created_at, GuestLink.id)
        return [_view(session, link) for link in session.scalars(wanted)]


def view(db: Database, link_id: str) -> LinkView:
    """One link, whether it works or not. Raises NotFound."""
    with db.read() as session:
        return _view(session, found(session, GuestLink, link_id))


def revoke(db: Database, link_id: str) -> None:
    """Withdraw a link, for all who came by it; repeatable. Their ratings stay."""
    with db.write() as session:
        link = found(session, GuestLink, link_id)
        link.revoked_at = link.revoked_at or now()


def look(db: Database, link_id: str) -> tuple[GuestLink, Project]:
    """A link that works, and its project. Raises NotFound, Gone."""
    with db.read() as session:
        link = _usable(session, link_id)
        return link, found(session, Project, link.project_id)


def enter(db: Database, link_id: str, name: str) -> tuple[Guest, str]:
    """A new guest and the token of their browser. Nobody else in the project has their name."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid(f"name must have 1 to {LONGEST_NAME} characters that can be seen.")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    with db.write() as session:
        link = _usable(session, link_id)
        found(session, Project, link.project_id, lock=True)
        if _guests(session, link) >= MOST_GUESTS:
            raise Gone(_CROWDED, "link_full")
        free = next(one for one in _names(name) if not session.scalar(_named(link.project_id, one)))
        # The rater's row is made now, so that nobody else takes the name before the first rating.
        session.add(Rater(project_id=link.project_id, name=free))
        guest = Guest(link_id=link.id, name=free, token_hash=digest(token))
        session.add(guest)
    return guest, token


def principal(db: Database, token: str) -> Principal | None:
    """Whose token this is; raises Gone once the link has run out or was withdrawn."""
    with db.read() as session:
        wanted = select(Guest).where(Guest.token_hash == digest(token))
        guest = session.scalars(wanted).one_or_none()
        if guest is None:
            return None
        link = _usable(session, guest.link_id)
        return Principal(Role.GUEST, guest.name, project_id=link.project_id, link_id=link.id)


def may_ask(db: Database, who: Principal) -> None:
    """Raise Gone where a guest's link has taken all its ratings."""
    if who.link_id is not None:
        with db.read() as session:
            _check_room(session, _usable(session, who.link_id))


def may_rate(db: Database, who: Principal, group_id: str) -> None:
    """Hold a guest to the project and the number of ratings of their link: Forbidden, Gone.

    A group that they judge anew is no further rating.
    """
    if who.link_id is None:
        return
    with db.read() as session:
        if _project_of(session, "groups", group_id) != who.project_id:
            raise Forbidden(OTHER_PROJECT, "another_project")
        link = _usable(session, who.link_id)
        anew = _given(link).where(Rating.group_id == group_id, Rater.name == who.name)
        if not session.scalar(anew):
            _check_room(session, link)


def is_within(db: Database, project_id: str, kind: str, thing_id: str) -> bool:
    """Whether a thing of this kind (`projects`, `groups`, ..) is of the project."""
    with db.read() as session:
        return _project_of(session, kind, thing_id) == project_id


def _project_of(session: Session, kind: str, thing_id: str) -> str | None:
    if kind == "projects":
        return thing_id
    return session.scalar(_OWNER[kind](thing_id))


_OWNER: dict[str, Callable[[str], Select[str]]] = {
    "groups": lambda id: select(Group.project_id).where(Group.id == id),
    "updates": lambda id: select(Update.project_id).where(Update.id == id),
    "ratings": lambda id: select(Rating.project_id).where(Rating.event_id == id),
    "images": lambda id: (
        select(func.coalesce(Group.project_id, Samples.project_id))
        .select_from(Image)
        .outerjoin(Group, Group.id == Image.group_id)
        .outerjoin(Samples, Samples.id == Image.samples_id)
        .where(Image.id == id)
    ),
}


def _view(session: Session, link: GuestLink) -> LinkView:
    project = found(session, Project, link.project_id).name
    return LinkView(link, project, _guests(session, link), _ratings(session, link))


def _check_room(session: Session, link: GuestLink) -> None:
    if link.most_ratings is not None and _ratings(session, link) >= link.most_ratings:
        raise Gone(_FULL, "link_full")


def _usable(session: Session, link_id: str) -> GuestLink:
    link = found(session, GuestLink, link_id)
    if link.revoked_at is not None:
        raise Gone(_REVOKED, "link_revoked")
    if link.expires_at <= now():
        raise Gone(_EXPIRED, "link_expired")
    return link


def _names(name: str) -> Iterator[str]:
    yield f"{name.strip()} (guest)"
    yield from (f"{name.strip()} (guest {number})" for number in count(2))


def _named(project_id: str, name: str) -> Select[str]:
    return select(Rater.id).where(Rater.project_id == project_id, Rater.name == name)


def _given(link: GuestLink) -> Select[int]:
    """How many ratings that count came by this link."""
    names = select(Guest.name).where(Guest.link_id == link.id)
    return (
        select(func.count(Rating.sequence))
        .join(Rater, Rater.id == Rating.rater_id)
        .where(
            Rating.status == "active",
            Rating.mode != "skip",
            Rater.project_id == link.project_id,
            Rater.name.in_(names),
        )
    )


def _ratings(session: Session, link: GuestLink) -> int:
    return session.scalar(_given(link)) or 0


def _guests(session: Session, link: GuestLink) -> int:
    return session.scalar(select(func.count(Guest.id)).where(Guest.link_id == link.id)) or 0
