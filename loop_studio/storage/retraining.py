"""Train again without some ratings: a branch from the last version that they had no part in.

The updates between that version and the one to be made again are repeated in order, each with the
settings and the seed of its original and with the inputs that were recorded for it, less the
ratings left out. A group that has no rating left drops out, an update that has nothing left too:
without those ratings neither would have been. What was recorded for the originals stays as it is.
The scale of an automatic source stays the one frozen for the original.

One update at a time is queued: the next as the one before is published, in the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, NotFound
from loop_studio.estimators import Judged, estimate, judge_of
from loop_studio.storage import audit, auto_update
from loop_studio.storage.database import Database, batched, found
from loop_studio.storage.projects import keep_active
from loop_studio.storage.schema import (
    Group,
    Project,
    Rater,
    Rating,
    Retraining,
    SettingsRevision,
    Update,
    UpdateInput,
    Version,
)
from loop_studio.storage.tree import Tree, present
from loop_studio.storage.update_inputs import claimed_in, inputs_in, past_in

_NOTHING = "Version {number} learned nothing from what is left out, so it would come out the same."
_ALL = (
    "Without these ratings nothing is left of what version {number} learned after version "
    "{ancestor}; make version {ancestor} live instead."
)


@dataclass(frozen=True)
class Plan:
    """What training a version again would do."""

    version: Version
    ancestor: Version  # the last one that what is left out had no part in
    updates: list[Update]  # to repeat, in order
    left_out: set[int]  # sequence numbers of ratings
    ratings: int  # that are learned from again
    groups: int
    words: str  # "without ann"


def plan(db: Database, version_id: str, rater_ids: Sequence[str], event_ids: Sequence[str]) -> Plan:
    """What training a version again would do.

    Raises Conflict `nothing_to_leave_out` or `nothing_left`, and `version_deleted` or
    `trajectories_gone` where groups cannot be replayed any more.
    """
    with db.read() as session:
        return _plan(session, version_id, rater_ids, event_ids)


def start(
    db: Database, version_id: str, rater_ids: Sequence[str], event_ids: Sequence[str]
) -> Update:
    """Queue the first update of a retraining; the others follow it.

    Raises what `plan` does, and Conflict `update_active`.
    """
    try:
        with db.write() as session:
            project_id = present(session, version_id).project_id
            project = found(session, Project, project_id, lock=True)
            auto_update.refuse_second(session, project.id)
            planned = _plan(session, version_id, rater_ids, event_ids)
            retraining = Retraining(
                project_id=project.id,
                version_id=version_id,
                ancestor_id=planned.ancestor.id,
                update_ids=[update.id for update in planned.updates],
                left_out={"ratings": sorted(planned.left_out)},
                words=planned.words,
            )
            session.add(retraining)
            session.flush()
            keep_active(project)
            audit.note(session, "update", _started(planned), project.id)
            return _repeat(session, retraining, planned.updates[0], planned.ancestor)
    except IntegrityError:  # another process queued an update between our look and our insertion
        with db.read() as session:
            auto_update.refuse_second(session, present(session, version_id).project_id)
        raise


def _started(planned: Plan) -> str:
    count = len(planned.left_out)
    without = "1 rating" if count == 1 else f"{count} ratings"
    return f"Started to train version {planned.version.number} again without {without}."


def go_on(session: Session, done: Update, made: Version) -> None:
    """After a published update: name what a retraining made, and queue the next one of it."""
    if done.retraining_id is None:
        return
    retraining = found(session, Retraining, done.retraining_id)
    repeated = found(session, Update, done.repeats_id or "")
    number = found(session, Version, repeated.version_id or "").number
    made.name = f"Version {number} {retraining.words}"[:200]
    session.flush()
    following = retraining.update_ids[retraining.update_ids.index(repeated.id) + 1 :]
    if following:
        _repeat(session, retraining, found(session, Update, following[0]), made)


def taught(session: Session, version_id: str) -> list[Update]:
    """The updates on a version's line, oldest first: what it would take to make it again."""
    line = Tree(session, found(session, Version, version_id).project_id).line(version_id)
    of_line = select(Update).where(Update.version_id.in_(line))
    made = {row.version_id: row for row in session.scalars(of_line)}
    return [made[one] for one in reversed(line) if one in made]


def _plan(
    session: Session, version_id: str, rater_ids: Sequence[str], event_ids: Sequence[str]
) -> Plan:
    version = present(session, version_id)
    updates = taught(session, version_id)
    left_out = _left_out(session, [update.id for update in updates], rater_ids, event_ids)
    tainted = [bool(left_out & _sequences(inputs_in(session, one.id))) for one in updates]
    if True not in tainted:
        raise Conflict(_NOTHING.format(number=version.number), "nothing_to_leave_out")
    first = tainted.index(True)
    ancestor = found(session, Version, updates[first].parent_id or "")
    remaining = {one.id: _remaining(session, one, left_out) for one in updates[first:]}
    repeated = [one for one in updates[first:] if remaining[one.id]]
    if not repeated:
        words = _ALL.format(number=version.number, ancestor=ancestor.number)
        raise Conflict(words, "nothing_left")
    groups = {row.group_id for rows in remaining.values() for row in rows}
    _check_replayable(session, version, groups)
    return Plan(
        version=version,
        ancestor=ancestor,
        updates=repeated,
        left_out=left_out,
        ratings=sum(len(_sequences(rows)) for rows in remaining.values()),
        groups=len(groups),
        words=_words(session, version.project_id, rater_ids, event_ids),
    )


def _left_out(
    session: Session,
    update_ids: Sequence[str],
    rater_ids: Sequence[str],
    event_ids: Sequence[str],
) -> set[int]:
    """The sequence numbers of those ratings which the updates learned from."""
    wanted = (
        select(UpdateInput.rating_sequence)
        .join(Rating, Rating.sequence == UpdateInput.rating_sequence)
        .where(UpdateInput.update_id.in_(update_ids))
        .where(or_(Rating.rater_id.in_(rater_ids), Rating.event_id.in_(event_ids)))
    )
    return {sequence for sequence in session.scalars(wanted.distinct()) if sequence is not None}


def _sequences(rows: Sequence[UpdateInput]) -> set[int]:
    return {row.rating_sequence for row in rows if row.rating_sequence is not None}


def _remaining(session: Session, update: Update, left_out: Collection[int]) -> list[UpdateInput]:
    """The update's inputs less the ratings left out, and less groups that no rating is left of.

    And less the groups that it recorded but did not replay: it learned nothing from those.
    """
    claimed = {group.id for group in claimed_in(session, update.id)}
    rows = [row for row in inputs_in(session, update.id) if row.group_id in claimed]
    kept = [row for row in rows if row.rating_sequence not in left_out]
    if not _sequences(rows):  # automatic rewards alone: nobody's rating chose its groups
        return kept
    judged = {row.group_id for row in kept if row.rating_sequence is not None}
    return [row for row in kept if row.group_id in judged]


def _check_replayable(session: Session, version: Version, group_ids: Collection[str]) -> None:
    wanted = select(Group.trajectory_key, Version.number, Version.deleted_at).join(
        Version, Version.id == Group.version_id
    )
    for some in batched(list(group_ids)):
        for key, number, deleted_at in session.execute(wanted.where(Group.id.in_(some))):
            if deleted_at is not None:
                raise Conflict(
                    f"Version {version.number} cannot be trained again: version {number}, which "
                    "drew some of its pictures, was deleted.",
                    "version_deleted",
                )
            if key is None:
                raise Conflict(
                    f"Version {version.number} cannot be trained again: some of what it learned "
                    "from is no longer kept.",
                    "trajectories_gone",
                )


def _words(
    session: Session, project_id: str, rater_ids: Sequence[str], event_ids: Sequence[str]
) -> str:
    named = select(Rater.name).where(Rater.id.in_(rater_ids), Rater.project_id == project_id)
    names = list(session.scalars(named.order_by(Rater.name)))
    if len(names) < len(set(rater_ids)):
        raise NotFound("There is no such rater in this project.")
    if count := len(set(event_ids)):
        names.append(f"{count} rating{'' if count == 1 else 's'}")
    return "without " + " and ".join(names)


def _repeat(session: Session, retraining: Retraining, original: Update, parent: Version) -> Update:
    """Queue an update that repeats `original` from another parent, with inputs of its own."""
    left_out = set(retraining.left_out["ratings"])
    rows = list(_again(session, original, parent, left_out))
    project = found(session, Project, retraining.project_id, lock=True)
    update = auto_update.queue(
        session,
        project,
        revision_id=original.revision_id,
        seed=original.seed,
        parent_id=parent.id,
        retraining_id=retraining.id,
        repeats_id=original.id,
        source_scales=dict(original.source_scales),
        rating_count=len(_sequences(rows)),
    )
    for row in rows:
        row.update_id = update.id
    session.add_all(rows)
    session.flush()
    update.group_count = len(claimed_in(session, update.id))
    return update


def _again(
    session: Session, original: Update, parent: Version, left_out: Collection[int]
) -> Iterator[UpdateInput]:
    """The inputs that are left, their advantages by the estimator of the original."""
    judgements: dict[tuple[str, str, str | None], list[UpdateInput]] = defaultdict(list)
    for row in _remaining(session, original, left_out):
        judgements[row.group_id, row.source, row.rater_id].append(row)
    settings = found(session, SettingsRevision, original.revision_id)
    estimator = settings.values["estimator"]
    past = past_in(session, _first(session, original), left_out) if estimator == "ppo" else {}
    groups = {group.id: group for group in claimed_in(session, original.id)}
    pushes = estimate(
        estimator,
        [
            Judged(
                judge_of(rows[0].source, rows[0].rater_id, rows[0].mode),
                groups[rows[0].group_id].prompt_id,
                rows[0].mode,
                tuple(row.reward for row in rows),
            )
            for rows in judgements.values()
        ],
        past,
    )
    tree = Tree(session, original.project_id)
    for rows, pushed in zip(judgements.values(), pushes, strict=True):
        for row, push in zip(rows, pushed, strict=True):
            yield UpdateInput(
                group_id=row.group_id,
                image_id=row.image_id,
                source=row.source,
                rater_id=row.rater_id,
                rating_sequence=row.rating_sequence,
                mode=row.mode,
                reward=row.reward,
                source_weight=row.source_weight,
                advantage=row.source_weight * push,
                lag=tree.distance(groups[row.group_id].version_id, parent.id),
            )


def _first(session: Session, update: Update) -> Update:
    """The update that claimed the groups, however often it was repeated."""
    while update.repeats_id is not None:
        update = found(session, Update, update.repeats_id)
    return update
