"""Which group a rater is shown next, and the record of what was shown.

In this order: what the rater took back last; what the rater was shown and has not judged; a group
of the live version; and, only while none of those is free, of any other version.
Of a version's groups the one comes that would teach most, where reward models disagree on some;
one time in four one is drawn at random, whatever they think of it, since on such groups alone a
learned reward is measured. Where none disagree the oldest comes, which is as fair.
A group is free while fewer raters than `overlap` have judged it or hold it. In place of a new group
a draw may put a hidden repeat or a blind pair, as often as the settings say.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from loop_studio.content import is_blurred
from loop_studio.storage import consent, pairs, raters, repeats
from loop_studio.storage.content import SET_ASIDE
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
    new_id,
    now,
)
from loop_studio.storage.sharing import has_share
from loop_studio.storage.worth import image_ids

HELD_FOR = timedelta(minutes=10)
_RENEW_WITHIN = timedelta(minutes=9)
RANDOM_SHARE = 0.25
_draw = secrets.SystemRandom()


@dataclass(frozen=True)
class ShownImage:
    """A picture as a rater sees it."""

    id: str
    width: int
    height: int
    blurred: bool = False  # until it is clicked


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
        consent.require(session, rater)
        revision = revision_of(session, project)
        keep_active(project)
        choice = _Choice(session, project, rater, revision, exclude, kinds)
        offer = next(choice.candidates(), None)
        if "pair" in kinds:
            pairs.refill(session, project, revision)
        if offer is None:
            refill_in(session, project, revision)
            hurry(session, project.id)
            return None
        assignment = hold(session, offer.group, rater, offer.at_random)
        refill_in(session, project, revision)
        return _shown(session, offer.group, assignment, revision.config.content)


def hold(session: Session, group: Group, rater: Rater, at_random: bool = False) -> Assignment:
    """Record that the rater is shown the group, and whether it came at random.

    The first order drawn stays the order, and what was first said of it stays said.
    """
    moment = now()
    wanted = select(Assignment).where(
        Assignment.group_id == group.id, Assignment.rater_id == rater.id
    )
    assignment = session.scalars(wanted).one_or_none()
    if assignment is None:
        order = _order(session, group, rater)
        assignment = Assignment(
            group_id=group.id,
            rater_id=rater.id,
            order=order,
            at_random=at_random,
            held_until=moment + HELD_FOR,
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


@dataclass(frozen=True)
class _Offer:
    """A group that a rater may be shown now."""

    group: Group
    at_random: bool = False  # whatever reward models think of it


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

    def candidates(self) -> Iterator[_Offer]:
        """First what was taken back, then what is on screen, then something new."""
        yield from self._first(self._taken_back())
        yield from self._first(self._on_screen())
        new = next(self._new(), None)
        yield from self._in_place_of(new)
        if new is not None:
            yield new

    def _new(self) -> Iterator[_Offer]:
        """Groups that nobody has asked of this rater yet: live, then any version."""
        overlap = self._revision.config.overlap
        if "group" in self._kinds and not has_share(
            self._session, self._project.id, self._rater.id, overlap
        ):
            live = Group.version_id == self._project.live_version_id
            yield from self._of_version(live)
            yield from self._of_version(~live)

    def _of_version(self, version: ColumnElement[bool]) -> Iterator[_Offer]:
        """The group that teaches most or one drawn at random; the oldest where all teach alike."""
        telling = self._free(version).where(Group.informativeness > 0)
        most = telling.order_by(Group.informativeness.desc(), Group.id.desc())
        for offer in self._first(most):
            is_random = _draw.random() < RANDOM_SHARE
            yield from self._drawn(version) if is_random else iter([offer])
        oldest = self._free(version).order_by(Group.created_at, Group.id)
        yield from self._fairly(self._first(oldest))

    def _drawn(self, version: ColumnElement[bool]) -> Iterator[_Offer]:
        """A free group at random: ids are random, so the next after a random one is."""
        in_order = self._free(version).order_by(Group.id)
        yield from self._fairly(self._first(in_order.where(Group.id >= new_id())))
        yield from self._fairly(self._first(in_order))

    @staticmethod
    def _fairly(offers: Iterator[_Offer]) -> Iterator[_Offer]:
        return (replace(offer, at_random=True) for offer in offers)

    def _in_place_of(self, new: _Offer | None) -> Iterator[_Offer]:
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

    def _pair(self) -> Iterator[_Offer]:
        rivals = pairs.contest(self._session, self._project) if "pair" in self._kinds else None
        if rivals is not None:
            spare = holders(except_rater=self._rater.id) < 1
            free = (*pairs.open_to_one(self._project.id, rivals[0]), spare)
            yield from self._first(self._unseen.where(*free).order_by(Group.created_at, Group.id))

    def _repeat(self) -> Iterator[_Offer]:
        repeat = repeats.make(self._session, self._rater) if "repeat" in self._kinds else None
        if repeat is not None:
            yield _Offer(repeat)

    def _first(self, query: Select[Group]) -> Iterator[_Offer]:
        yield from map(_Offer, self._session.scalars(query.limit(1)))

    def _mine(self) -> Select[Group]:
        return self._unseen.join(Assignment, Assignment.group_id == Group.id).where(
            Assignment.rater_id == self._rater.id
        )

    def _taken_back(self) -> Select[Group]:
        whole = or_(Group.retired_reason.is_(None), Group.retired_reason != SET_ASIDE)
        first = self._mine().where(Assignment.first, whole)
        return first.order_by(Assignment.shown_at.desc())

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
        return self._unseen.where(*free)


def _shown(session: Session, group: Group, assignment: Assignment, content: str) -> ShownGroup:
    in_sight = select(Image).where(Image.group_id == group.id, Image.withheld.is_(None))
    images = {image.id: image for image in session.scalars(in_sight)}
    # One that was hidden when the order was drawn, and no longer is, comes last.
    order = dict.fromkeys([*assignment.order, *images])
    is_plain = group.kind == "group"  # of the others, the version would tell what they are
    return ShownGroup(
        id=group.id,
        kind=group.kind,
        prompt=found(session, Prompt, group.prompt_id).text,
        version=found(session, Version, group.version_id).number if is_plain else None,
        images=[
            ShownImage(image.id, image.width, image.height, is_blurred(content, image.sensitive))
            for image in (images[image_id] for image_id in order if image_id in images)
        ],
    )
