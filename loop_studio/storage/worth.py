"""What a group's judgements are worth for learning now: the one place that decides `usable`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from loop_studio.agreement import Best, best_of
from loop_studio.judgement import derive
from loop_studio.storage.schema import Group, Image, Rater, Rating, Update

_OTHER_KINDS = {
    "repeat": "Kept, but not learned from: you have judged these pictures before. The repeat "
    "shows how steady judgements are.",
    "pair": "Kept, but not learned from: a blind comparison of two versions. It counts for their "
    "win rate.",
}
_EXCLUDED = "Kept, but not learned from: this rater is excluded."


def image_ids(session: Session, group_id: str) -> list[str]:
    """The group's images in the order of the trajectory file."""
    return images_of(session, [group_id])[group_id]


def images_of(session: Session, group_ids: Sequence[str]) -> dict[str, list[str]]:
    """The images of each group, by group id, in the order of the trajectory file."""
    query = select(Image.group_id, Image.id).where(Image.group_id.in_(group_ids))
    images: dict[str, list[str]] = {group_id: [] for group_id in group_ids}
    for group_id, image_id in session.execute(query.order_by(Image.group_id, Image.position)):
        images[str(group_id)].append(image_id)
    return images


def best(rating: Rating, images: Sequence[str]) -> Best:
    """Which of the group's images the rater found best, by position."""
    rewards = derive(rating.mode, rating.judgement, images).rewards
    return best_of([rewards[image] for image in images])


def refresh(session: Session, *groups: Group) -> None:
    """Bring `usable` of the groups and of their ratings, and `judged_by`, up to date.

    Call it after any change of a group, of one of its ratings, or of who is excluded.
    """
    session.flush()
    ids = [group.id for group in groups]
    images = images_of(session, ids)
    numbers = _numbers(session, groups)
    wanted = select(Rating, Rater.excluded).join(Rater, Rater.id == Rating.rater_id)
    ratings: dict[str, list[tuple[Rating, bool]]] = defaultdict(list)
    for rating, excluded in session.execute(wanted.where(Rating.group_id.in_(ids))):
        ratings[rating.group_id].append((rating, excluded))
    for group in groups:
        held_back = _held_back(group, numbers.get(group.used_by_update_id or ""))
        for rating, excluded in ratings[group.id]:
            reason = _EXCLUDED if excluded else held_back
            rating.usable, rating.reason = _worth(rating, images[group.id], reason)
        _count(group, ratings[group.id])
    session.flush()


def _count(group: Group, ratings: Iterable[tuple[Rating, bool]]) -> None:
    active = [
        (rating, excluded)
        for rating, excluded in ratings
        if rating.status == "active" and rating.mode != "skip"
    ]
    group.judged_by = len({rating.rater_id for rating, excluded in active if not excluded})
    group.usable = any(rating.usable for rating, _ in active)


def _worth(rating: Rating, images: list[str], held_back: str) -> tuple[bool, str]:
    if rating.status == "undone":
        return False, "Undone."
    if rating.status == "superseded":
        return False, "Superseded by a later judgement of the same rater."
    derived = derive(rating.mode, rating.judgement, images)
    if rating.used_by_update_id is not None or not derived.usable or not held_back:
        return derived.usable, derived.reason
    return False, held_back


def _held_back(group: Group, number: int | None) -> str:
    """Why nothing that is said of this group teaches any more; empty if it may."""
    if group.kind in _OTHER_KINDS:
        return _OTHER_KINDS[group.kind]
    if group.used_by_update_id is not None:
        return f"Kept, but not learned from: update {number} has already used this group."
    if group.retired_reason is not None:
        return f"Kept, but not learned from: {group.retired_reason}"
    return ""


def _numbers(session: Session, groups: Sequence[Group]) -> dict[str, int]:
    used = {group.used_by_update_id for group in groups} - {None}
    wanted = select(Update.id, Update.number).where(Update.id.in_(used))
    return dict(session.execute(wanted).all()) if used else {}
