"""What an update learns from: groups claimed once, inputs recorded once, never changed after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.orm import Session

from loop_studio.estimators import judge_of
from loop_studio.judgement import MAPPING_VERSION
from loop_studio.storage import learned
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.projects import Revision, revision
from loop_studio.storage.refilling import holders, open_groups
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
    in which they count. Else the usable ones, and with them the ratings that make them usable; and
    where a learned reward counts, groups of the version to be trained that nobody judged.
    """
    terms = revision(db, _revision_id(db, update_id))
    with db.write() as session:
        claiming = found(session, Update, update_id, lock=True)
        found(session, Project, claiming.project_id, lock=True)
        if claimed := claimed_in(session, update_id):
            return claimed
        most = terms.config.max_groups_per_update
        taken = list(session.scalars(waiting_groups(claiming.project_id, terms).limit(most)))
        if _adds_unrated(session, claiming.project_id, terms):
            surest = _unrated(claiming.project_id, claiming.parent_id)
            surest = surest.order_by(Group.informativeness, Group.id)
            taken += session.scalars(surest.limit(most - len(taken)))
        for group in taken:
            group.used_by_update_id = update_id
        session.flush()
        claiming.group_count = len(taken)
        if not terms.reward.automatic_only:
            claiming.rating_count = _use_ratings(session, update_id)
        return taken


def claimable(db: Database, project_id: str) -> int:
    """How many groups an update would find waiting now, without the buffer of the raters."""
    with db.read() as session:
        project = found(session, Project, project_id)
    terms = revision(db, project.revision_id or "")
    with db.read() as session:
        waiting = _waiting(project_id, terms)
        usable = session.scalar(select(func.count()).select_from(Group).where(*waiting)) or 0
        if not _adds_unrated(session, project_id, terms):
            return usable
        unrated = _unrated(project_id, project.live_version_id).subquery()
        spare = session.scalar(select(func.count()).select_from(unrated)) or 0
        return usable + max(0, spare - terms.config.buffer_groups)


def waiting_groups(project_id: str, terms: Revision) -> Select[Group]:
    """The groups that an update would find waiting, oldest first."""
    waiting = _waiting(project_id, terms)
    return select(Group).where(*waiting).order_by(Group.created_at, Group.id)


def groups_of(db: Database, update_id: str) -> list[Group]:
    """The groups that an update has claimed, oldest first."""
    with db.read() as session:
        return claimed_in(session, update_id)


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
        if recorded := inputs_in(session, update_id):
            return recorded
        using.source_scales = dict(scales)
        using.seed = using.seed if seed is None else seed
        session.add_all(UpdateInput(update_id=update_id, **asdict(row)) for row in new)
        session.flush()
        return inputs_in(session, update_id)


def inputs(db: Database, update_id: str) -> list[UpdateInput]:
    """What the update uses, in the order in which it was recorded."""
    with db.read() as session:
        return inputs_in(session, update_id)


def past_rewards(db: Database, update_id: str) -> dict[tuple[str, str], list[float]]:
    """Rewards that the project's earlier updates learned from, by (judge, prompt), oldest first."""
    with db.read() as session:
        return past_in(session, found(session, Update, update_id))


def past_in(
    session: Session, using: Update, left_out: Collection[int] = ()
) -> dict[tuple[str, str], list[float]]:
    """`past_rewards` within a transaction, without the ratings of these sequence numbers."""
    remembered: dict[tuple[str, str], list[float]] = defaultdict(list)
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
        if row.rating_sequence not in left_out:
            judge = judge_of(row.source, row.rater_id, row.mode)
            remembered[judge, prompt_id].append(row.reward)
    return dict(remembered)


def exclude_groups(
    db: Database, update_id: str, group_ids: Sequence[str], reason: str | None
) -> None:
    """Take claimed groups out of the update; their ratings stay.

    A `reason` retires them for good and is told to their raters; without one they wait again.
    """
    with db.write() as session:
        chosen = (Group.id.in_(group_ids), Group.used_by_update_id == update_id)
        for group in session.scalars(select(Group).where(*chosen)).all():
            group.used_by_update_id = None
            group.retired_reason = reason or group.retired_reason
            own = update(Rating).where(Rating.group_id == group.id)
            changed(session, own.values(used_by_update_id=None))
            refresh(session, group)


def set_notice(db: Database, update_id: str, notice: str) -> None:
    """What people shall know of the update whatever becomes of it."""
    with db.write() as session:
        found(session, Update, update_id, lock=True).notice = notice


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


def _adds_unrated(session: Session, project_id: str, terms: Revision) -> bool:
    return not terms.reward.automatic_only and learned.contributes(session, project_id, terms)


def _unrated(project_id: str, version_id: str | None) -> Select[Group]:
    """Groups of a version that nobody has judged or is about to."""
    return select(Group).where(
        *open_groups(project_id, overlap=1),
        Group.version_id == version_id,
        Group.trajectory_key.is_not(None),
        holders() < 1,
    )


def claimed_in(session: Session, update_id: str) -> list[Group]:
    """`groups_of` within a transaction.

    Of an update that repeats another: that one's groups, but for those without a rating left.
    """
    repeated = session.scalar(select(Update.repeats_id).where(Update.id == update_id))
    if repeated is None:
        wanted = select(Group).where(Group.used_by_update_id == update_id)
        return list(session.scalars(wanted.order_by(Group.created_at, Group.id)))
    people = (UpdateInput.update_id == update_id, UpdateInput.source == "human")
    judged = set(session.scalars(select(UpdateInput.group_id).where(*people)))
    groups = claimed_in(session, repeated)
    return [group for group in groups if group.id in judged] if judged else groups


def _use_ratings(session: Session, update_id: str) -> int:
    groups = select(Group.id).where(Group.used_by_update_id == update_id)
    teaching = (Rating.group_id.in_(groups), Rating.status == "active", Rating.usable)
    use = update(Rating).where(*teaching).values(used_by_update_id=update_id)
    return changed(session, use)


def inputs_in(session: Session, update_id: str) -> list[UpdateInput]:
    """`inputs` within a transaction."""
    wanted = select(UpdateInput).where(UpdateInput.update_id == update_id)
    return list(session.scalars(wanted.order_by(UpdateInput.id)))
