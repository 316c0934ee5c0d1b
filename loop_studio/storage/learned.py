"""The reward that is learned from a project's ratings: what it learns from, its fits, its trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from loop_studio.judgement import LEARNED, derive
from loop_studio.storage import jobs
from loop_studio.storage.database import Database, batched, changed, found
from loop_studio.storage.files import StoredFile
from loop_studio.storage.projects import Revision
from loop_studio.storage.refilling import UPDATE_PRIORITY
from loop_studio.storage.schema import (
    ACTIVE,
    Assignment,
    Group,
    Image,
    ImageFeatures,
    Job,
    Project,
    Rater,
    Rating,
    RewardFit,
)
from loop_studio.storage.worth import images_of, out_of_sight

REFIT_AFTER = 4  # ratings that have arrived since the last fit, at least
REFIT_SHARE = 0.1  # and as a share of those that it learned from
MOST_JUDGEMENTS = 1000  # the newest; a fit takes seconds


@dataclass(frozen=True)
class Judged:
    """One judgement of one group by a rater who counts: rewards of the images judged."""

    group_id: str
    mode: str
    rewards: dict[str, float]
    at_random: bool


@dataclass(frozen=True)
class NewFit:
    """What came of an attempt to learn: a file, or a sentence why there is none."""

    file: StoredFile | None
    last_sequence: int | None
    ratings: int
    groups: int
    validation: Mapping[str, Any]
    contributes: bool
    sentence: str


def judgements(db: Database, project_id: str) -> list[Judged]:
    """The newest judgements that count, oldest first: none superseded, undone, skipped, of an
    excluded rater, of a repeat or of a pair. Those without a learning signal say what is not good.
    """
    wanted = (
        select(Rating, Assignment.at_random)
        .join(Group, Group.id == Rating.group_id)
        .join(Rater, Rater.id == Rating.rater_id)
        .outerjoin(
            Assignment,
            (Assignment.group_id == Rating.group_id) & (Assignment.rater_id == Rating.rater_id),
        )
        .where(
            Rating.project_id == project_id,
            Rating.status == "active",
            Rating.mode != "skip",
            Rater.excluded.is_(False),
            Group.kind == "group",
        )
    )
    rows: list[Judged] = []
    with db.read() as session:
        newest = wanted.order_by(Rating.sequence.desc()).limit(MOST_JUDGEMENTS)
        ratings = session.execute(newest).all()[::-1]
        for some in batched(ratings):
            ids = [rating.group_id for rating, _ in some]
            images, hidden = images_of(session, ids), out_of_sight(session, ids)
            for rating, by in some:
                seen = [image for image in images[rating.group_id] if image not in hidden]
                rows.append(_judged(rating, seen, bool(by)))
    return rows


def last_sequence(db: Database, project_id: str) -> int | None:
    """The number of the project's latest rating, if it has one."""
    with db.read() as session:
        newest = select(func.max(Rating.sequence)).where(Rating.project_id == project_id)
        return session.scalar(newest)


def features(db: Database, image_ids: Sequence[str], extractor: str) -> dict[str, bytes]:
    """Known features of these images by one extractor."""
    known: dict[str, bytes] = {}
    with db.read() as session:
        for some in batched(image_ids):
            wanted = select(ImageFeatures.image_id, ImageFeatures.vector).where(
                ImageFeatures.image_id.in_(some), ImageFeatures.extractor == extractor
            )
            known |= {row.image_id: row.vector for row in session.execute(wanted)}
    return known


def put_features(db: Database, extractor: str, vectors: Mapping[str, bytes]) -> None:
    """Keep features; those that are known stay as they are."""
    with db.write() as session:
        for image_id, vector in vectors.items():
            if session.get(ImageFeatures, (image_id, extractor)) is None:
                session.add(ImageFeatures(image_id=image_id, extractor=extractor, vector=vector))


def images(db: Database, image_ids: Sequence[str]) -> list[Image]:
    """These images, in no order."""
    with db.read() as session:
        return [
            image
            for some in batched(image_ids)
            for image in session.scalars(select(Image).where(Image.id.in_(some)))
        ]


def record(db: Database, project_id: str, new: NewFit) -> RewardFit:
    """Keep an attempt to learn, whatever came of it."""
    with db.write() as session:
        found(session, Project, project_id, lock=True)
        last = select(func.max(RewardFit.number)).where(RewardFit.project_id == project_id)
        row = RewardFit(
            project_id=project_id,
            number=(session.scalar(last) or 0) + 1,
            key=new.file.key if new.file else None,
            sha256=new.file.sha256 if new.file else None,
            size=new.file.size if new.file else None,
            last_sequence=new.last_sequence,
            ratings=new.ratings,
            groups=new.groups,
            validation=dict(new.validation),
            contributes=new.contributes,
            sentence=new.sentence,
        )
        session.add(row)
        return row


def latest(db: Database, project_id: str) -> RewardFit | None:
    """The last attempt to learn."""
    with db.read() as session:
        found(session, Project, project_id)
        return _latest(session, project_id)


def in_force(db: Database, project_id: str) -> RewardFit | None:
    """The last attempt that came to something: later ones that did not leave it in force."""
    with db.read() as session:
        return in_force_in(session, project_id)


def in_force_in(session: Session, project_id: str) -> RewardFit | None:
    """`in_force` within a transaction."""
    wanted = _fits(project_id).where(RewardFit.key.is_not(None))
    return session.scalars(wanted.limit(1)).one_or_none()


def contributes(session: Session, project_id: str, revision: Revision) -> bool:
    """Whether updates learn from it: it has a weight, and it has proved itself."""
    if not revision.reward.models.get(LEARNED):
        return False
    fit = in_force_in(session, project_id)
    return fit is not None and fit.contributes


@dataclass(frozen=True)
class View:
    """The fit in force, and what has happened since."""

    fit: RewardFit | None
    setback: str  # why a later attempt, or the only one, came to nothing
    judged_groups: int
    waiting: int  # ratings that it has not seen
    learning: bool  # an attempt is queued or running


def view(db: Database, project_id: str) -> View:
    """What people may know of the learned reward, in one snapshot."""
    with db.read() as session:
        found(session, Project, project_id)
        last = _latest(session, project_id)
        judged = (Group.project_id == project_id, Group.judged_by > 0, Group.kind == "group")
        pending = (Job.project_id == project_id, Job.kind == "fit_reward", Job.state.in_(ACTIVE))
        return View(
            fit=in_force_in(session, project_id),
            setback=last.sentence if last is not None and last.key is None else "",
            judged_groups=session.scalar(select(func.count()).select_from(Group).where(*judged))
            or 0,
            waiting=_waiting(session, project_id, last),
            learning=session.scalar(select(Job.id).where(*pending).limit(1)) is not None,
        )


def ask_now(db: Database, project_id: str) -> None:
    """Queue an attempt, however few ratings have arrived."""
    with db.write() as session:
        found(session, Project, project_id, lock=True)
        ask(session, project_id)


def waiting(db: Database, project_id: str) -> int:
    """Ratings that have arrived since the last attempt."""
    with db.read() as session:
        return _waiting(session, project_id, _latest(session, project_id))


def ask(session: Session, project_id: str) -> None:
    """Queue an attempt unless one is queued; between two rollouts it takes seconds."""
    queued = (Job.project_id == project_id, Job.kind == "fit_reward", Job.state == "queued")
    if session.scalar(select(Job.id).where(*queued).limit(1)) is None:
        session.add(Job(kind="fit_reward", project_id=project_id, priority=UPDATE_PRIORITY))
        session.flush()


def ask_if_due(session: Session, project_id: str) -> None:
    """`ask` once enough ratings have arrived since the last attempt: one, if that lacked some."""
    last = _latest(session, project_id)
    wanted = max(REFIT_AFTER, REFIT_SHARE * (last.ratings if last else 0))
    if last is not None and last.key is None:
        wanted = 1
    if _waiting(session, project_id, last) >= wanted:
        ask(session, project_id)


def ask_again(session: Session, project_id: str) -> None:
    """`ask` where something was learned from judgements that count no longer, or count again."""
    if _latest(session, project_id) is not None:
        ask(session, project_id)


def finish(db: Database, job: Job) -> None:
    """End the job, and queue another where enough ratings have arrived meanwhile."""
    with db.write() as session:
        jobs.end(session, job, "succeeded")
        ask_if_due(session, job.project_id or "")


def open_groups(db: Database, project_id: str) -> list[str]:
    """Groups that may still be served: nobody has judged them, or too few."""
    with db.read() as session:
        wanted = select(Group.id).where(
            Group.project_id == project_id,
            Group.retired_reason.is_(None),
            Group.used_by_update_id.is_(None),
            Group.kind == "group",
            Group.judged_by == 0,
        )
        return list(session.scalars(wanted.order_by(Group.created_at.desc()).limit(1000)))


def set_informativeness(db: Database, by_group: Mapping[str, float]) -> None:
    """What a judgement of each of these groups would tell."""
    with db.write() as session:
        for group_id, nats in by_group.items():
            mark = update(Group).where(Group.id == group_id).values(informativeness=nats)
            changed(session, mark)


def _judged(rating: Rating, images: list[str], at_random: bool) -> Judged:
    derived = derive(rating.mode, rating.judgement, images).rewards
    rewards = {image: value for image, value in derived.items() if value is not None}
    return Judged(rating.group_id, rating.mode, rewards, at_random)


def _fits(project_id: str) -> Any:
    of_project = select(RewardFit).where(RewardFit.project_id == project_id)
    return of_project.order_by(RewardFit.number.desc())


def _latest(session: Session, project_id: str) -> RewardFit | None:
    return session.scalars(_fits(project_id).limit(1)).one_or_none()


def _waiting(session: Session, project_id: str, last: RewardFit | None) -> int:
    arrived = (
        Rating.project_id == project_id,
        Rating.status == "active",
        Rating.sequence > ((last and last.last_sequence) or 0),
    )
    return session.scalar(select(func.count()).select_from(Rating).where(*arrived)) or 0
