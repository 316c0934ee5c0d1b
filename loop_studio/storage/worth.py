"""What a group's judgements are worth for learning now: the one place that decides `usable`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from loop_studio.agreement import Best, best_of
from loop_studio.judgement import MAPPING_VERSION, Derived, derive
from loop_studio.storage.database import changed
from loop_studio.storage.schema import Group, Image, Rater, Rating, Reward, Update

_KEPT = "Kept, but not learned from: "  # so begins why a judgement with a signal is not usable
_OTHER_KINDS = {
    "repeat": f"{_KEPT}you have judged these pictures before. The repeat shows how steady "
    "judgements are.",
    "pair": f"{_KEPT}a blind comparison of two versions. It counts for their win rate.",
}
_EXCLUDED = f"{_KEPT}this rater is excluded."


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


def out_of_sight(session: Session, group_ids: Collection[str]) -> set[str]:
    """Images of these groups that nobody is shown: they count as not judged."""
    wanted = (Image.group_id.in_(group_ids), Image.withheld.is_not(None))
    return set(session.scalars(select(Image.id).where(*wanted)))


def derived_of(
    mode: str,
    judgement: Mapping[str, float | None],
    images: Sequence[str],
    hidden: Collection[str],
) -> Derived:
    """What a judgement is worth by the images that may be seen; the others are not judged."""
    seen = {image: value for image, value in judgement.items() if image not in hidden}
    return derive(mode, seen, images)


def put_rewards(session: Session, ratings: Sequence[Rating], hidden: Collection[str]) -> None:
    """Derive the rewards of these ratings, whatever was derived from them before."""
    images = images_of(session, [rating.group_id for rating in ratings])
    for rating in ratings:
        old = delete(Reward).where(
            Reward.sequence == rating.sequence, Reward.mapping_version == MAPPING_VERSION
        )
        changed(session, old)
        derived = derived_of(rating.mode, rating.judgement, images[rating.group_id], hidden)
        session.add_all(
            Reward(
                sequence=rating.sequence,
                image_id=image_id,
                mapping_version=MAPPING_VERSION,
                value=value,
            )
            for image_id, value in derived.rewards.items()
            if value is not None
        )
    session.flush()


def best(rating: Rating, images: Sequence[str]) -> Best:
    """Which of the group's images the rater found best, by position."""
    rewards = derive(rating.mode, rating.judgement, images).rewards
    return best_of([rewards[image] for image in images])


def refresh(session: Session, *groups: Group) -> None:
    """Bring `usable` of the groups and of their ratings, and `judged_by`, up to date.

    Call it after any change of a group or of one of its ratings; `weigh` after one of a rater.
    """
    session.flush()
    ids = [group.id for group in groups]
    images, hidden = images_of(session, ids), out_of_sight(session, ids)
    numbers = _numbers(session, {group.used_by_update_id for group in groups})
    wanted = select(Rating, Rater.excluded).join(Rater, Rater.id == Rating.rater_id)
    ratings: dict[str, list[tuple[Rating, bool]]] = defaultdict(list)
    for rating, excluded in session.execute(wanted.where(Rating.group_id.in_(ids))):
        ratings[rating.group_id].append((rating, excluded))
    for group in groups:
        number = numbers.get(group.used_by_update_id or "")
        held_back = _held_back(group.kind, number, group.retired_reason)
        for rating, excluded in ratings[group.id]:
            reason = _EXCLUDED if excluded else held_back
            rating.usable, rating.reason = _worth(rating, images[group.id], hidden, reason)
        _count(group, ratings[group.id])
    session.flush()


def weigh(session: Session, rater: Rater) -> None:
    """`refresh` of all that one rater has judged, once the rater is excluded or taken back.

    In a few statements, however much it is: nobody else can store a rating meanwhile. No judgement
    is read, for a signal does not hang on who is excluded: what has one is usable or held back.
    """
    session.flush()
    with_signal = (
        select(Rating.sequence, Group.kind, Group.used_by_update_id, Group.retired_reason)
        .join(Group, Group.id == Rating.group_id)
        .where(Rating.rater_id == rater.id, Rating.status == "active")
        .where(Rating.used_by_update_id.is_(None))
        .where(or_(Rating.usable, Rating.reason.startswith(_KEPT)))
    )
    rows = session.execute(with_signal).all()
    numbers = _numbers(session, {used_by for _, _, used_by, _ in rows})
    weighed = []
    for sequence, kind, used_by, retired in rows:
        held_back = _held_back(kind, numbers.get(used_by or ""), retired)
        held_back = _EXCLUDED if rater.excluded else held_back
        weighed.append({"sequence": sequence, "usable": not held_back, "reason": held_back})
    if weighed:
        session.execute(update(Rating), weighed)
    _count_again(session, rater)


def _count_again(session: Session, rater: Rater) -> None:
    """`judged_by` and `usable` of every group that the rater has judged."""
    judged = select(Rating.group_id).where(Rating.rater_id == rater.id)
    counting = (
        Rating.group_id == Group.id,
        Rating.status == "active",
        Rating.mode != "skip",
    )
    raters = select(func.count(Rating.rater_id.distinct())).join(Rater, Rater.id == Rating.rater_id)
    raters = raters.where(*counting, Rater.excluded.is_(False))
    usable = select(Rating.sequence).where(*counting, Rating.usable)
    counted = update(Group).values(judged_by=raters.scalar_subquery(), usable=usable.exists())
    changed(session, counted.where(Group.id.in_(judged)))


def _count(group: Group, ratings: Iterable[tuple[Rating, bool]]) -> None:
    active = [
        (rating, excluded)
        for rating, excluded in ratings
        if rating.status == "active" and rating.mode != "skip"
    ]
    group.judged_by = len({rating.rater_id for rating, excluded in active if not excluded})
    group.usable = any(rating.usable for rating, _ in active)


def _worth(
    rating: Rating, images: list[str], hidden: Collection[str], held_back: str
) -> tuple[bool, str]:
    if rating.status == "undone":
        return False, "Undone."
    if rating.status == "superseded":
        return False, "Superseded by a later judgement of the same rater."
    derived = derived_of(rating.mode, rating.judgement, images, hidden)
    if rating.used_by_update_id is not None or not derived.usable or not held_back:
        return derived.usable, derived.reason
    return False, held_back


def _held_back(kind: str, number: int | None, retired_reason: str | None) -> str:
    """Why nothing that is said of a group teaches any more; empty if it may.

    `number` is that of the update that has used it, if one has.
    """
    if kind in _OTHER_KINDS:
        return _OTHER_KINDS[kind]
    if number is not None:
        return f"{_KEPT}update {number} has already used this group."
    return "" if retired_reason is None else f"{_KEPT}{retired_reason}"


def _numbers(session: Session, update_ids: Collection[str | None]) -> dict[str, int]:
    used = [update_id for update_id in update_ids if update_id is not None]
    wanted = select(Update.id, Update.number).where(Update.id.in_(used))
    return dict(session.execute(wanted).all()) if used else {}
