"""Everything one rater has judged, to look through, mark, and judge anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from loop_studio.content import SENTENCES, is_blurred
from loop_studio.errors import Forbidden, Invalid
from loop_studio.storage import raters
from loop_studio.storage.database import Database, found
from loop_studio.storage.groups import made_by
from loop_studio.storage.projects import revision_of
from loop_studio.storage.schema import (
    Favourite,
    Group,
    Image,
    Project,
    Prompt,
    Rater,
    Rating,
    Remark,
    Version,
)
from loop_studio.storage.worth import derived_of, image_ids, out_of_sight

Verdict = Literal["preferred", "none", "equal", "skipped"]
LONGEST_NOTE = 2_000  # characters
_LOOKED_AT_ONCE = 200


@dataclass(frozen=True)
class Filter:
    """Which judgements are wanted; a field left at None asks nothing."""

    prompt: str | None = None  # words that the prompt holds, in any case
    version: int | None = None
    verdict: Verdict | None = None
    flagged: bool | None = None
    favourite: bool | None = None


@dataclass(frozen=True)
class PastImage:
    """A picture of a judged group. Of a pair each is by another version, told once it is judged."""

    id: str
    version: int | None
    seed: int
    width: int
    height: int
    advantage: float | None
    favourite: bool
    blurred: bool
    withheld: str | None  # why it is not shown


@dataclass(frozen=True)
class PastGroup:
    """A judged group with the judgement that counts, and the rater's remarks."""

    id: str
    kind: str
    sequence: int
    event_id: str
    prompt: str
    version: int
    mode: str
    judgement: dict[str, float | None]
    verdict: Verdict
    usable: bool
    reason: str
    used_by_update_id: str | None
    flagged: bool
    note: str
    created_at: datetime
    images: list[PastImage]  # in the order in which they were judged


def verdict_of(mode: str, judgement: dict[str, float | None]) -> Verdict:
    """What a judgement says, whatever its gesture."""
    if mode == "skip":
        return "skipped"
    values = {value for value in judgement.values() if value is not None}
    if len(values) > 1:
        return "preferred"
    return "none" if values == {0.0} and mode in {"best", "good"} else "equal"


def judged(
    db: Database,
    project_id: str,
    rater_name: str,
    wanted: Filter,
    limit: int,
    before: int | None = None,
) -> list[PastGroup]:
    """The newest `limit` groups that pass (with a sequence below `before`), oldest first."""
    with db.read() as session:
        found(session, Project, project_id)
        rater = raters.known(session, project_id, rater_name)
        if rater is None:
            return []
        passed: list[PastGroup] = []
        for past in _past(session, rater, wanted, before):
            if len(passed) == limit:
                break
            passed.append(past)
    return passed[::-1]


def remark(db: Database, group_id: str, rater_name: str, *, flagged: bool, note: str) -> None:
    """Flag a group, or note something about it; both replace what the rater said of it before."""
    if len(note) > LONGEST_NOTE:
        raise Invalid(f"note must have at most {LONGEST_NOTE:,} characters; shorten it.")
    with db.write() as session:
        group = found(session, Group, group_id)
        rater = raters.named(session, group.project_id, rater_name)
        row = session.get(Remark, (rater.id, group.id))
        if row is None:
            row = Remark(rater_id=rater.id, group_id=group.id)
            session.add(row)
        row.flagged, row.note = flagged, note


def favour(db: Database, image_id: str, rater_name: str, *, favourite: bool) -> None:
    """Keep a picture among the rater's favourites, or no longer. Forbidden before judging it."""
    with db.write() as session:
        image, rater = _seen(session, image_id, rater_name)
        row = session.get(Favourite, (rater.id, image.id))
        if favourite and row is None:
            session.add(Favourite(rater_id=rater.id, image_id=image.id))
        elif not favourite and row is not None:
            session.delete(row)


def may_take(db: Database, image_id: str, rater_name: str) -> tuple[Image, int]:
    """A picture that the rater has judged, and the number of its version; else Forbidden."""
    with db.read() as session:
        image, _ = _seen(session, image_id, rater_name)
        if image.withheld is not None:
            raise Forbidden(SENTENCES[image.withheld], "image_withheld")
        group = found(session, Group, image.group_id or "")
        return image, made_by(session, group, image_ids(session, group.id))[image.id]


def _seen(session: Session, image_id: str, rater_name: str) -> tuple[Image, Rater]:
    image = found(session, Image, image_id)
    group = found(session, Group, image.group_id or "")
    rater = raters.known(session, group.project_id, rater_name)
    judged_it = select(Rating.sequence).where(
        Rating.group_id == group.id,
        Rating.rater_id == (rater.id if rater else ""),
        Rating.status == "active",
    )
    if rater is None or session.scalar(judged_it) is None:
        raise Forbidden("Judge this group first; then its pictures are yours to keep.")
    return image, rater


def _past(
    session: Session, rater: Rater, wanted: Filter, before: int | None
) -> Iterator[PastGroup]:
    """Newest first, a page of rows at a time."""
    while True:
        query = _query(rater, wanted)
        if before is not None:
            query = query.where(Rating.sequence < before)
        rows = session.execute(query.limit(_LOOKED_AT_ONCE)).all()
        for rating, group, prompt, version, note in rows:
            before = rating.sequence
            past = _told(session, rating, group, prompt, version, note)
            if _passes(past, wanted):
                yield past
        if len(rows) < _LOOKED_AT_ONCE:
            return


def _query(rater: Rater, wanted: Filter) -> Select[Rating, Group, str, int, Remark | None]:
    mine = (Remark.group_id == Group.id) & (Remark.rater_id == rater.id)
    query: Select[Rating, Group, str, int, Remark | None] = (
        select(Rating, Group, Prompt.text, Version.number, Remark)
        .join(Group, Group.id == Rating.group_id)
        .join(Prompt, Prompt.id == Group.prompt_id)
        .join(Version, Version.id == Group.version_id)
        .outerjoin(Remark, mine)
        .where(Rating.rater_id == rater.id, Rating.status == "active")
        .order_by(Rating.sequence.desc())
    )
    if wanted.prompt:
        query = query.where(Prompt.text.icontains(wanted.prompt, autoescape=True))
    if wanted.version is not None:
        query = query.where(Version.number == wanted.version)
    return query.where(Remark.flagged) if wanted.flagged else query


def _passes(past: PastGroup, wanted: Filter) -> bool:
    if wanted.verdict is not None and past.verdict != wanted.verdict:
        return False
    return not wanted.favourite or any(image.favourite for image in past.images)


def _told(
    session: Session,
    rating: Rating,
    group: Group,
    prompt: str,
    version: int,
    remarked: Remark | None,
) -> PastGroup:
    ids = image_ids(session, group.id)
    return PastGroup(
        id=group.id,
        kind=group.kind,
        sequence=rating.sequence,
        event_id=rating.event_id,
        prompt=prompt,
        version=version,
        mode=rating.mode,
        judgement=rating.judgement,
        verdict=verdict_of(rating.mode, rating.judgement),
        usable=rating.usable,
        reason=rating.reason,
        used_by_update_id=rating.used_by_update_id,
        flagged=remarked is not None and remarked.flagged,
        note=remarked.note if remarked else "",
        created_at=rating.created_at,
        images=_images(session, rating, group, ids),
    )


def _images(session: Session, rating: Rating, group: Group, ids: Sequence[str]) -> list[PastImage]:
    hidden = out_of_sight(session, [group.id])
    pushes = derived_of(rating.mode, rating.judgement, ids, hidden).advantages
    rule = revision_of(session, found(session, Project, group.project_id)).config.content
    rows = {row.id: row for row in session.scalars(select(Image).where(Image.id.in_(ids)))}
    liked = select(Favourite.image_id).where(
        Favourite.rater_id == rating.rater_id, Favourite.image_id.in_(ids)
    )
    favourites = set(session.scalars(liked))
    is_blind = group.kind == "pair" and rating.mode == "skip"
    versions = {} if is_blind else made_by(session, group, ids)
    return [
        PastImage(
            id=row.id,
            version=versions.get(row.id),
            seed=row.seed,
            width=row.width,
            height=row.height,
            advantage=pushes[row.id],
            favourite=row.id in favourites,
            blurred=is_blurred(rule, row.sensitive),
            withheld=row.withheld,
        )
        for row in (rows[image_id] for image_id in rating.order or ids)
    ]
