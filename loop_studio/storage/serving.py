"""Which group a rater is shown next, and the record of what was shown.

In this order: what the rater took back last; what the rater was shown and has not judged; the
oldest group of the live version; and, only while none of those is free, of any other version.
A group is free while fewer raters than `overlap` have judged it or hold it. In place of a new group
a draw may put a hidden repeat or a blind pair, as often as the settings say.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from loop_studio.storage import pairs, raters, repeats
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import Revision, keep_active, revision_of
from loop_studio.storage.refilling import holders, hurry, open_groups, refill_in
from loop_studio.storage.schema import (
    Assignment,
    Group,
    Image,
    Project,
    Prompt,
    Rater,
    Rating,
    Version,
    now,
)
from loop_studio.storage.worth import image_ids

HELD_FOR = timedelta(minutes=10)
_RENEW_WITHIN = timedelta(minutes=9)
_draw = secrets.SystemRandom()


@dataclass(frozen=True)
class ShownImage:
    """A picture as a rater sees it."""

    id: str
    width: int
    height: int


@dataclass(frozen=True)
class ShownGroup:
    """A group as a rater sees it: images in the order recorded for this rater."""

    id: str
    kind: str
    prompt: str
    version: int | None
    images: list[ShownImage]


def next_for(
    db: Database,
    project_id: str,
    rater_name: str,
    exclude: Sequence[str] = (),
    kinds: Collection[str] = ("group",),
) -> ShownGroup | None:
    """The next group for this rater, held for 10 minutes; None while none is ready.

    Asked again without a rating in between, it gives the same group. `exclude` names groups that
    the rater has at hand already; `kinds` what the client can show: group, repeat, pair.
    """
    raters.check(rater_name)
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        rater = raters.named(session, project_id, rater_name)
        revision = revision_of(session, project)
        keep_active(project)
        choice = _Choice(session, project, rater, revision, exclude, kinds)
        group = next(choice.candidates(), None)
        if "pair" in kinds:
            pairs.refill(session, project, revision)
        if group is None:
            refill_in(session, project, revision)
            hurry(session, project.id)
            return None
        assignment = hold(session, group, rater)
        refill_in(session, project, revision)
        return _shown(session, group, assignment)


def hold(session: Session, group: Group, rater: Rater) -> Assignment:
    """Record that the rater is shown the group; the first order drawn stays the order."""
    moment = now()
    wanted = select(Assignment).where(
        Assignment.group_id == group.id, Assignment.rater_id == rater.id
    )
    assignment = session.scalars(wanted).one_or_none()
    if assignment is None:
        order = _order(session, group, rater)
        assignment = Assignment(
            group_id=group.id, rater_id=rater.id, order=order, held_until=moment + HELD_FOR
        )
        session.add(assignment)
    elif assignment.held_until < moment + _RENEW_WITHIN:
        assignment.held_until = moment + HELD_FOR
    session.flush()
    return assignment


def _order(session: Session, group: Group, rater: Rater) -> list[str]:
    """A new order; a repeat's is never the one in which its rater saw the original."""
    images = image_ids(session, group.id)
    before = repeats.order_before(session, group, rater, images)
    order = list(images)
    _draw.shuffle(order)
    while order == before:
        _draw.shuffle(order)
    return order


def let_go(session: Session, group_id: str, rater_id: str) -> None:
    """The rater has judged the group and no longer holds it."""
    wanted = select(Assignment).where(
        Assignment.group_id == group_id, Assignment.rater_id == rater_id
    )
    for assignment in session.scalars(wanted):
        assignment.held_until, assignment.first = now(), False


def bring_back(session: Session, group: Group, rater: Rater) -> None:
    """The rater took the judgement back: the group comes next for that rater."""
    assignment = hold(session, group, rater)
    assignment.first, assignment.shown_at = True, now()


class _Choice:
    """The groups that one rater may be shown now, best first, each kind asked for in turn."""

    def __init__(
        self,
        session: Session,
        project: Project,
        rater: Rater,
        revision: Revision,
        exclude: Sequence[str],
        kinds: Collection[str],
    ) -> None:
        self._session = session
        self._project = project
        self._rater = rater
        self._revision = revision
        self._kinds = kinds
        judged = select(Rating.sequence).where(
            Rating.group_id == Group.id, Rating.rater_id == rater.id, Rating.status == "active"
        )
        # Asked first: of a busy rater's many groups it leaves few to look at further.
        unseen = (~judged.exists(), Group.id.not_in(exclude), Group.kind.in_(kinds))
        self._unseen = select(Group).where(*unseen)

    def candidates(self) -> Iterator[Group]:
        """First what was taken back, then what is on screen, then something new."""
        yield from self._first(self._taken_back())
        yield from self._first(self._on_screen())
        new = next(self._new(), None)
        yield from self._in_place_of(new)
        if new is not None:
            yield new

    def _new(self) -> Iterator[Group]:
        """Groups that nobody has asked of this rater yet: live, then any version."""
        if "group" in self._kinds:
            live = Group.version_id == self._project.live_version_id
            yield from self._first(self._free(live))
            yield from self._first(self._free(~live))

    def _in_place_of(self, new: Group | None) -> Iterator[Group]:
        """A pair or a repeat, by a draw for each new group there is.

        Without one nothing is drawn: a rater who waits would be served little else. Pairs alone
        are served where no groups are made for people, or where none is asked for.
        """
        config, drawn = self._revision.config, _draw.random()
        if new is None:
            alone = "group" not in self._kinds
            if alone or self._revision.reward.automatic_only:
                yield from self._pair()
            if alone and config.repeat_share:
                yield from self._repeat()
        elif drawn < config.pair_share:
            yield from self._pair()
        elif drawn < config.pair_share + config.repeat_share:
            yield from self._repeat()

    def _pair(self) -> Iterator[Group]:
        rivals = pairs.contest(self._session, self._project) if "pair" in self._kinds else None
        if rivals is not None:
            spare = holders(except_rater=self._rater.id) < 1
            free = (*pairs.open_to_one(self._project.id, rivals[0]), spare)
            yield from self._first(self._unseen.where(*free).order_by(Group.created_at, Group.id))

    def _repeat(self) -> Iterator[Group]:
        repeat = repeats.make(self._session, self._rater) if "repeat" in self._kinds else None
        if repeat is not None:
            yield repeat

    def _first(self, query: Select[Group]) -> Iterator[Group]:
        yield from self._session.scalars(query.limit(1))

    def _mine(self) -> Select[Group]:
        return self._unseen.join(Assignment, Assignment.group_id == Group.id).where(
            Assignment.rater_id == self._rater.id
        )

    def _taken_back(self) -> Select[Group]:
        return self._mine().where(Assignment.first).order_by(Assignment.shown_at.desc())

    def _on_screen(self) -> Select[Group]:
        held = [
            Assignment.held_until > now(),
            Group.retired_reason.is_(None),
            Group.used_by_update_id.is_(None),
        ]
        return self._mine().where(*held).order_by(Assignment.shown_at, Assignment.id)

    def _free(self, version: ColumnElement[bool]) -> Select[Group]:
        overlap = self._revision.config.overlap
        spare = Group.judged_by + holders(except_rater=self._rater.id) < overlap
        free = [*open_groups(self._project.id, overlap), version, spare]
        return self._unseen.where(*free).order_by(Group.created_at, Group.id)


def _shown(session: Session, group: Group, assignment: Assignment) -> ShownGroup:
    images = {
        image.id: image
        for image in session.scalars(select(Image).where(Image.group_id == group.id))
    }
    is_plain = group.kind == "group"  # of the others, the version would tell what they are
    return ShownGroup(
        id=group.id,
        kind=group.kind,
        prompt=found(session, Prompt, group.prompt_id).text,
        version=found(session, Version, group.version_id).number if is_plain else None,
        images=[
            ShownImage(image_id, images[image_id].width, images[image_id].height)
            for image_id in assignment.order
        ],
    )
