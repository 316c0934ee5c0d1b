"""What a group's judgements are worth for learning now: the one place that decides `usable`."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loop_studio.judgement import derive
from loop_studio.storage.schema import Group, Image, Rating, Update


def image_ids(session: Session, group_id: str) -> list[str]:
    """The group's images in the order of the trajectory file."""
    query = select(Image.id).where(Image.group_id == group_id).order_by(Image.position)
    return list(session.scalars(query))


def refresh(session: Session, group: Group) -> None:
    """Bring `usable` of the group and of its ratings, and `judged_by`, up to date.

    Call it after any change of the group or of one of its ratings.
    """
    session.flush()
    images = image_ids(session, group.id)
    ratings = session.scalars(select(Rating).where(Rating.group_id == group.id)).all()
    number = _number(session, group.used_by_update_id)
    for rating in ratings:
        rating.usable, rating.reason = _worth(group, number, rating, images)
    active = [rating for rating in ratings if rating.status == "active" and rating.mode != "skip"]
    group.judged_by = len({rating.rater_id for rating in active})
    group.usable = any(rating.usable for rating in active)
    session.flush()


def _worth(group: Group, number: int | None, rating: Rating, images: list[str]) -> tuple[bool, str]:
    if rating.status == "undone":
        return False, "Undone."
    if rating.status == "superseded":
        return False, "Superseded by a later judgement of the same rater."
    derived = derive(rating.mode, rating.judgement, images)
    if rating.used_by_update_id is not None or not derived.usable:
        return derived.usable, derived.reason
    if group.used_by_update_id is not None:
        return False, f"Kept, but not learned from: update {number} has already used this group."
    if group.retired_reason is not None:
        return False, f"Kept, but not learned from: {group.retired_reason}"
    return True, ""


def _number(session: Session, update_id: str | None) -> int | None:
    if update_id is None:
        return None
    return session.scalar(select(func.max(Update.number)).where(Update.id == update_id))
