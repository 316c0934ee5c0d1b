"""Sharing what is ready among the raters who are here: nobody hoards while others wait."""

from __future__ import annotations

from datetime import timedelta
from math import ceil

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from loop_studio.storage.refilling import open_groups
from loop_studio.storage.schema import Assignment, Group, Rater, now

_HERE = timedelta(minutes=2)  # since a rater last held or judged a group
_MOST_AHEAD = 16  # groups to a rater that are counted: more than any client asks for


def has_share(session: Session, project_id: str, rater_id: str, overlap: int) -> bool:
    """Whether the rater holds as many groups as each rater who is here could have.

    One group is everybody's share, so that who has none waits for no share. Alone, all are.
    """
    mine = _held(session, rater_id)
    if mine == 0:
        return False
    here = _raters_here(session, project_id, rater_id)
    if here == 1:
        return False
    ready = select(Group.id).where(*open_groups(project_id, overlap))
    counted = ready.limit(here * _MOST_AHEAD).subquery()
    groups = session.scalar(select(func.count()).select_from(counted)) or 0
    return mine >= max(1, ceil(groups * overlap / here))


def _held(session: Session, rater_id: str) -> int:
    """Groups that the rater has at hand and has not judged: judged ones are let go."""
    held = (Assignment.rater_id == rater_id, Assignment.held_until > now())
    return session.scalar(select(func.count()).select_from(Assignment).where(*held)) or 0


def _raters_here(session: Session, project_id: str, rater_id: str) -> int:
    """How many raters hold a group or judged one of late, this one included."""
    lately = now() - _HERE
    holding = (Assignment.rater_id == Rater.id, Assignment.held_until > lately)
    seen: ColumnElement[bool] = select(Assignment.id).where(*holding).exists()
    others = (Rater.project_id == project_id, Rater.id != rater_id, seen)
    return 1 + (session.scalar(select(func.count()).select_from(Rater).where(*others)) or 0)
