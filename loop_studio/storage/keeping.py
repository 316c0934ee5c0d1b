"""What must stay so that it can be learned from: now, or again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from loop_studio.storage.retraining import taught
from loop_studio.storage.schema import ACTIVE, Group, Retraining, Update, UpdateInput, Version


def kept_again(
    session: Session, project_id: str | None = None
) -> Iterator[tuple[Version, Sequence[str]]]:
    """The versions kept for training again, and the updates that it would take to repeat."""
    kept = select(Version).where(Version.kept, Version.deleted_at.is_(None))
    if project_id is not None:
        kept = kept.where(Version.project_id == project_id)
    for version in session.scalars(kept.order_by(Version.number)).all():
        yield version, [one.id for one in taught(session, version.id)]


def learned_by(update_ids: Collection[str]) -> ColumnElement[bool]:
    """Of a group: one of these updates learns from it."""
    recorded = select(UpdateInput.group_id).where(UpdateInput.update_id.in_(update_ids))
    # Never NULL, so that its opposite holds for a group that no update has used.
    claimed = and_(Group.used_by_update_id.is_not(None), Group.used_by_update_id.in_(update_ids))
    return or_(claimed, Group.id.in_(recorded))


def needed_updates(session: Session) -> set[str]:
    """Updates whose groups may be replayed yet: of kept versions, and of what is under way."""
    needed = {update_id for _, ids in kept_again(session) for update_id in ids}
    under_way = select(Update.id, Update.retraining_id).where(Update.status.in_(ACTIVE))
    for update_id, retraining_id in session.execute(under_way):
        needed.add(update_id)
        if retraining_id is not None:
            repeated = select(Retraining.update_ids).where(Retraining.id == retraining_id)
            needed.update(session.scalars(repeated).one())
    return needed
