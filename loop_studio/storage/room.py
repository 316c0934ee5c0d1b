"""Room on the disk: what the data takes by kind, what may go, and when no group is made.

What is taken is added up from the rows that name the files. A row is changed before its file is
deleted: a crash between the two leaves a file that no row names, for housekeeping.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from loop_studio.settings import GIB, Settings
from loop_studio.storage.database import Database, database_size
from loop_studio.storage.files import FileStore
from loop_studio.storage.keeping import learned_by, needed_updates
from loop_studio.storage.projects import cancel_rollouts
from loop_studio.storage.references import job_files
from loop_studio.storage.refilling import lacking_room
from loop_studio.storage.schema import Group, Image, RewardFit, Room, Update, VersionFile

_AT_ONCE = 200  # groups to a transaction
_LOW = (
    "The disk of the data folder has {free:.1f} GiB free; no group is made below {floor:.1f} GiB. "
    "Free some space, and it goes on by itself."
)
_FULL = (
    "The data takes {used:.1f} GiB of the {quota:.1f} GiB that it may take, and nothing of it may "
    "go by itself. Delete versions or projects, or raise LOOP_STUDIO_QUOTA_GIB."
)


@dataclass(frozen=True)
class Use:
    """Bytes that the data takes, by kind."""

    trajectories: int
    images: int
    versions: int
    rewards: int
    transfers: int  # uploads that wait, and exports of the last week
    database: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(asdict(self).values())


@dataclass(frozen=True)
class Gauge:
    """What is taken, what may go when room is asked for, and what there is."""

    use: Use
    spare: int  # bytes of trajectories that may go
    quota: int | None
    free: int  # bytes on the disk of the data folder
    floor: int
    sentence: str  # why no group is made; empty while there is room


def gauge(db: Database, settings: Settings) -> Gauge:
    """The data folder at this moment."""
    free = shutil.disk_usage(settings.data).free
    floor = round(settings.free_gib * GIB)
    with db.read() as session:
        spare = _size(session, Group.trajectory_size, _spare(session))
        told = lacking_room(session)
        return Gauge(_use(session), spare, settings.quota_bytes, free, floor, told)


def look(db: Database, settings: Settings) -> bool:
    """See whether there is room for groups, and write down why not.

    True when the quota asks for room and some can be made.
    """
    now = gauge(db, settings)
    excess = 0 if now.quota is None else max(0, now.use.total - now.quota)
    told = ""
    if now.free < now.floor:
        told = _LOW.format(free=now.free / GIB, floor=now.floor / GIB)
    elif now.quota is not None and excess > now.spare:
        told = _FULL.format(used=now.use.total / GIB, quota=now.quota / GIB)
    if told != now.sentence:
        with db.write() as session:
            session.merge(Room(id=1, sentence=told))
            if told:
                cancel_rollouts(session)
    return excess > 0 and now.spare > 0


def make(db: Database, files: FileStore, quota: int) -> int:
    """Let trajectories go, oldest first, until the data fits the quota; returns the bytes freed.

    Only those that taught what they had to, or never will: none that awaits an update, is being
    learned from, or is kept for training again. Repeating or interrupting it does no harm.
    """
    freed = 0
    while True:
        with db.write() as session:
            gone = _let_go(session, _use(session).total - quota)
        for key, size in gone:
            files.delete(key)
            freed += size
        if len(gone) < _AT_ONCE:
            return freed


def _let_go(session: Session, wanted: int) -> Sequence[tuple[str, int]]:
    oldest = select(Group).where(_spare(session)).order_by(Group.created_at, Group.id)
    gone = []
    for group in session.scalars(oldest.limit(_AT_ONCE)):
        if wanted <= 0:
            break
        size = group.trajectory_size or 0
        gone.append((group.trajectory_key or "", size))
        group.trajectory_key = None
        wanted -= size
    return gone


def _spare(session: Session) -> ColumnElement[bool]:
    """Groups that were learned from, or never will be, whose trajectories nobody needs."""
    done = select(Update.id).where(Update.status == "succeeded")
    never = and_(
        Group.used_by_update_id.is_(None), Group.retired_reason.is_not(None), ~Group.usable
    )
    over = or_(Group.used_by_update_id.in_(done), never)
    return and_(Group.trajectory_key.is_not(None), over, ~learned_by(needed_updates(session)))


def _use(session: Session) -> Use:
    return Use(
        trajectories=_size(session, Group.trajectory_size, Group.trajectory_key.is_not(None)),
        images=_size(session, Image.size, Image.group_id.is_(None)) + _of_groups(session),
        versions=_size(session, VersionFile.size),
        rewards=_size(session, RewardFit.size, RewardFit.key.is_not(None)),
        transfers=sum(file["size"] for file in job_files(session)),
        database=database_size(session),
    )


def _of_groups(session: Session) -> int:
    """Pictures of groups; a repeat's are the files of its original."""
    own = select(func.sum(Image.size)).join(Group, Group.id == Image.group_id)
    return int(session.scalar(own.where(Group.kind != "repeat")) or 0)


def _size(session: Session, column: Any, *of: ColumnElement[bool]) -> int:
    return int(session.scalar(select(func.sum(column)).where(*of)) or 0)
