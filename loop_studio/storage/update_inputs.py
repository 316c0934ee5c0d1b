"""What an update learns from: groups claimed once, inputs recorded once, never changed after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from loop_studio.estimators import judge_of
from loop_studio.judgement import MAPPING_VERSION
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.projects import Revision, revision
from loop_studio.storage.schema import (
    Group,
    Image,
    Project,
    Rating,
    Reward,
    SettingsRevision,
    Update,
    UpdateInput,
)
from loop_studio.storage.worth import refresh


@dataclass(frozen=True)
class NewInput:
    """One image under one source and rater, as an update uses it."""

    group_id: str
    image_id: str
    source: str
    rater_id: str | None
    rating_sequence: int | None
    mode: str
    reward: float
    source_weight: float
    advantage: float
    lag: int


@dataclass(frozen=True)
class JudgementRow:
    """One rater's judgement of one group: rewards of the images judged, by position."""

    group_id: str
    rater_id: str
    sequence: int
    mode: str
    rewards: dict[str, float]


def claim_groups(db: Database, update_id: str) -> list[Group]:
    """Take the groups that wait, oldest first, up to the maximum; claimed ones stay claimed.

    With automatic rewards only, groups that nobody judged: people's judgements wait for an update
    in which they count. Else the usable ones, and with them the ratings that make them usable.
    """
    terms = revision(db, _revision_id(db, update_id))
    with db.write() as session:
        claiming = found(session, Update, update_id, lock=True)
        found(session, Project, claiming.project_id, lock=True)
        if claimed := _claimed(session, update_id):
            return claimed
        waiting = _waiting(claiming.project_id, terms)
        most = terms.config.max_groups_per_update
        oldest = select(Group).where(*waiting).order_by(Group.created_at, Group.id).limit(most)
        taken = list(session.scalars(oldest))
        for group in taken:
            group.used_by_update_id = update_id
        session.flush()
        claiming.group_count = len(taken)
        if not terms.reward.automatic_only:
            claiming.rating_count = _use_ratings(session, update_id)
        return taken


def claimable(db: Database, project_id: str) -> int:
    """How many groups an update would find waiting now."""
    with db.read() as session:
        project = found(session, Project, project_id)
    terms = revision(db, project.revision_id or "")
    with db.read() as session:
        waiting = _waiting(project_id, terms)
        return session.scalar(select(func.count()).select_from(Group).where(*waiting)) or 0


def groups_of(db: Database, update_id: str) -> list[Group]:
    """The groups that an update has claimed, oldest first."""
    with db.read() as session:
        return _claimed(session, update_id)


def judgements(db: Database, group_ids: Sequence[str]) -> list[JudgementRow]:
    """What people's judgements of these groups teach, in order of arrival.

    Of claimed groups: the judgements claimed with them, whatever came of them since. Of others:
    the active and usable ones.
    """
    claimed = Rating.used_by_update_id == Group.used_by_update_id
    waiting = and_(Group.used_by_update_id.is_(None), Rating.status == "active", Rating.usable)
    wanted = (
        select(Rating, Reward.image_id, Reward.value)
        .join(Group, Group.id == Rating.group_id)
        .join(Reward, Reward.sequence == Rating.sequence)
        .join(Image, Image.id == Reward.image_id)
        .where(
            Rating.group_id.in_(group_ids),
            or_(claimed, waiting),
            Reward.mapping_version == MAPPING_VERSION,
        )
        .order_by(Rating.sequence, Image.position)
    )
    rows: dict[int, JudgementRow] = {}
    with db.read() as session:
        for rating, image_id, value in session.execute(wanted):
            empty = JudgementRow(rating.group_id, rating.rater_id, rating.sequence, rating.mode, {})
            rows.setdefault(rating.sequence, empty).rewards[image_id] = value
    return list(rows.values())


def record_inputs(
    db: Database,
    update_id: str,
    new: Sequence[NewInput],
    scales: Mapping[str, float],
    seed: int | None = None,
) -> list[UpdateInput]:
    """Write down exactly what the update uses; once: a resumed update reads the same again."""
    with db.write() as session:
        using = found(session, Update, update_id, lock=True)
        if recorded := _inputs(session, update_id):
            return recorded
        using.source_scales = dict(scales)
        using.seed = using.seed if seed is None else seed
        session.add_all(UpdateInput(update_id=update_id, **asdict(row)) for row in new)
        session.flush()
        return _inputs(session, update_id)


def inputs(db: Database, update_id: str) -> list[UpdateInput]:
    """What the update uses, in the order in which it was recorded."""
    with db.read() as session:
        return _inputs(session, update_id)


def past_rewards(db: Database, update_id: str) -> dict[tuple[str, str], list[float]]:
    """Rewards that the project's earlier updates learned from, by (judge, prompt), oldest first."""
    remembered: dict[tuple[str, str], list[float]] = defaultdict(list)
    with db.read() as session:
        using = found(session, Update, update_id)
        wanted = (
            select(UpdateInput, Group.prompt_id)
            .join(Group, Group.id == UpdateInput.group_id)
            .join(Update, Update.id == UpdateInput.update_id)
            .where(
                Update.project_id == using.project_id,
                Update.number < using.number,
                Update.status == "succeeded",
                Group.used_by_update_id == UpdateInput.update_id,
            )
            .order_by(UpdateInput.id)
        )
        for row, prompt_id in session.execute(wanted):
            judge = judge_of(row.source, row.rater_id, row.mode)
            remembered[judge, prompt_id].append(row.reward)
    return dict(remembered)


def exclude_groups(db: Database, update_id: str, group_ids: Sequence[str], reason: str) -> None:
    """Take claimed groups out of the update and retire them; their ratings stay and say why."""
    with db.write() as session:
        chosen = (Group.id.in_(group_ids), Group.used_by_update_id == update_id)
        for group in session.scalars(select(Group).where(*chosen)).all():
            group.used_by_update_id, group.retired_reason = None, reason
            own = update(Rating).where(Rating.group_id == group.id)
            changed(session, own.values(used_by_update_id=None))
            refresh(session, group)


def _revision_id(db: Database, update_id: str) -> str:
    with db.read() as session:
        row = found(session, Update, update_id)
        return found(session, SettingsRevision, row.revision_id).id


def _waiting(project_id: str, terms: Revision) -> list[ColumnElement[bool]]:
    unused = [Group.project_id == project_id, Group.used_by_update_id.is_(None)]
    if terms.reward.automatic_only:
        unjudged = (Group.judged_by == 0, Group.retired_reason.is_(None))
        return [*unused, *unjudged, Group.trajectory_key.is_not(None)]
    return [*unused, Group.usable.is_(True)]


def _claimed(session: Session, update_id: str) -> list[Group]:
    wanted = select(Group).where(Group.used_by_update_id == update_id)
    return list(session.scalars(wanted.order_by(Group.created_at, Group.id)))


def _use_ratings(session: Session, update_id: str) -> int:
    groups = select(Group.id).where(Group.used_by_update_id == update_id)
    teaching = (Rating.group_id.in_(groups), Rating.status == "active", Rating.usable)
    use = update(Rating).where(*teaching).values(used_by_update_id=update_id)
    return changed(session, use)


def _inputs(session: Session, update_id: str) -> list[UpdateInput]:
    wanted = select(UpdateInput).where(UpdateInput.update_id == update_id)
    return list(session.scalars(wanted.order_by(UpdateInput.id)))
