"""Hidden repeats: a group comes again to the rater who judged it, to see how steady judgements are.

A repeat is a group of its own with images of its own over the same files, so that nothing in an id
or an order tells it from any other. It teaches nothing (`worth`) and is progress towards nothing.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased

from loop_studio.storage.database import batched, found
from loop_studio.storage.schema import Assignment, Group, Image, Rater, Rating
from loop_studio.storage.worth import best, image_ids, images_of

LEAST_SINCE = 10  # groups judged between a group and its repeat, so that nobody just remembers
_REACH = 200  # and the oldest that comes again


def make(session: Session, rater: Rater) -> Group | None:
    """A repeat of one of the rater's earlier groups; None if there is none.

    A group comes again once, to one of its raters: asking to which would make this slow.
    """
    again = aliased(Group)
    repeated = select(again.id).where(again.repeat_of_id == Group.id)
    withheld = select(Image.id).where(Image.group_id == Group.id, Image.withheld.is_not(None))
    judged = (
        select(Group.id)
        .join(Rating, Rating.group_id == Group.id)
        .where(
            Rating.rater_id == rater.id,
            Rating.status == "active",
            Rating.mode != "skip",
            Group.kind == "group",
            ~repeated.exists(),
            ~withheld.exists(),
        )
    )
    earlier = judged.order_by(Rating.sequence.desc()).offset(LEAST_SINCE).limit(_REACH)
    ids = session.scalars(earlier).all()
    return _copy(session, found(session, Group, secrets.choice(ids))) if ids else None


def order_before(session: Session, group: Group, rater: Rater, images: Sequence[str]) -> list[str]:
    """A repeat's `images` in the order in which the rater saw the original; else empty."""
    wanted = select(Assignment.order).where(
        Assignment.group_id == group.repeat_of_id, Assignment.rater_id == rater.id
    )
    seen = session.scalars(wanted).one_or_none() if group.repeat_of_id else None
    if not seen:
        return []
    originals = image_ids(session, group.repeat_of_id or "")
    return [images[originals.index(image)] for image in seen]


def steadiness(session: Session, project_id: str) -> dict[str, list[float]]:
    """By rater: for each repeat, 1 if the same pictures were judged best as the first time."""
    first, second = aliased(Rating), aliased(Rating)
    wanted = (
        select(first, second)
        .join(Group, Group.id == second.group_id)
        .join(first, and_(first.group_id == Group.repeat_of_id, first.rater_id == second.rater_id))
        .where(second.project_id == project_id, Group.kind == "repeat")
        .where(*(one.status == "active" for one in (first, second)))
        .where(*(one.mode != "skip" for one in (first, second)))
    )
    pairs = session.execute(wanted.order_by(second.sequence)).all()
    same: dict[str, list[float]] = defaultdict(list)
    for some in batched(pairs):
        images = images_of(session, [rating.group_id for pair in some for rating in pair])
        for before, after in some:
            bests = [best(rating, images[rating.group_id]) for rating in (before, after)]
            same[after.rater_id].append(float(bests[0] == bests[1]))
    return same


def _copy(session: Session, original: Group) -> Group:
    repeat = Group(
        kind="repeat",
        repeat_of_id=original.id,
        project_id=original.project_id,
        prompt_id=original.prompt_id,
        version_id=original.version_id,
        revision_id=original.revision_id,
    )
    session.add(repeat)
    session.flush()
    same = ("position", "prompt", "seed", "width", "height", "key", "sha256", "size", "sensitive")
    for image in session.scalars(select(Image).where(Image.group_id == original.id)).all():
        copied = {name: getattr(image, name) for name in same}
        session.add(Image(group_id=repeat.id, **copied))
    session.flush()
    return repeat
