"""Leases: held by one process at a time, taken by compare-and-swap."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, or_, update
from sqlalchemy.exc import IntegrityError

from loop_studio.storage.database import Database, changed
from loop_studio.storage.schema import Lease, now


def take(db: Database, name: str, holder: str, seconds: float) -> bool:
    """Take or renew a lease; False while another holder's has not run out.

    One that reaches twice as far as it may was taken before the machine's clock was set back.
    """
    moment, length = now(), timedelta(seconds=seconds)
    until = moment + length
    stale = or_(Lease.until < moment, Lease.until > moment + 2 * length)
    free = (Lease.name == name, or_(Lease.holder == holder, stale))
    try:
        with db.write() as session:
            swap = update(Lease).where(*free).values(holder=holder, until=until)
            if changed(session, swap) == 0:
                session.add(Lease(name=name, holder=holder, until=until))
    except IntegrityError:  # the row is there, and it is another holder's
        return False
    return True


def release(db: Database, name: str, holder: str) -> None:
    """Give a lease back before it runs out; another holder's stays."""
    with db.write() as session:
        changed(session, delete(Lease).where(Lease.name == name, Lease.holder == holder))
