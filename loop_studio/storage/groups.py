"""Groups: recorded by the worker, served to raters, explained to those who have judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from loop_studio.content import SENTENCES, is_blurred, withheld
from loop_studio.errors import Forbidden
from loop_studio.storage import jobs, raters
from loop_studio.storage.content import LEAST_SHOWN, SET_ASIDE, ask_for_check
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.files import StoredFile
from loop_studio.storage.projects import outdated_reason, revision_of
from loop_studio.storage.schema import (
    Group,
    Image,
    Job,
    Project,
    Prompt,
    Rating,
    Score,
    SettingsRevision,
    Version,
)
from loop_studio.storage.serving import ShownGroup as ShownGroup
from loop_studio.storage.serving import ShownImage as ShownImage
from loop_studio.storage.serving import bring_back
from loop_studio.storage.serving import next_for as next_for
from loop_studio.storage.tree import Tree
from loop_studio.storage.worth import derived_of, out_of_sight

MOST_VERSIONS_BEHIND = 8

_STALE = "The group was made more than {most} versions before the live one."
_OFF_LINE = "The group was made by a version that the live one does not descend from."


@dataclass(frozen=True)
class NewImage:
    """A picture whose file is written and whose row is not."""

    position: int
    seed: int
    width: int
    height: int
    file: StoredFile
    prompt: str = ""
    sensitive: bool | None = None  # the safety checker's verdict, where it looked


@dataclass(frozen=True)
class GroupDetail:
    """What a rater may know after judging: where the group came from, what it was given."""

    id: str
    kind: str
    prompt: str
    version: int
    settings: dict[str, Any]
    images: list[Image]
    rewards: dict[str, float | None]
    advantages: dict[str, float | None]
    scores: dict[str, dict[str, float]]
    versions: dict[str, int]  # by image: a pair has two
    blurred: dict[str, bool]  # by image


def record(  # noqa: PLR0913  (one argument per column that the worker knows; named by callers)
    db: Database,
    job: Job | None,
    project_id: str,
    prompt_id: str,
    version_id: str,
    revision_id: str | None,
    images: Sequence[NewImage],
    trajectory: StoredFile | None,
    opponent_id: str | None = None,
) -> Group:
    """Make the rows of a group whose files are written, and end `job` in the same transaction.

    With an `opponent_id` it is a pair: the second picture is that version's. A group made with
    settings that have changed since is retired at once. Raises LostLease.
    """
    assert revision_id is not None
    with db.write() as session:
        if job is not None:
            jobs.end(session, job, "succeeded")
        project = found(session, Project, project_id)
        group = Group(
            project_id=project_id,
            prompt_id=prompt_id,
            version_id=version_id,
            revision_id=revision_id,
            kind="pair" if opponent_id else "group",
            opponent_id=opponent_id,
            retired_reason=outdated_reason(session, project, revision_id),
        )
        if trajectory is not None:
            group.trajectory_key, group.trajectory_size = trajectory.key, trajectory.size
            group.trajectory_sha256 = trajectory.sha256
        session.add(group)
        session.flush()
        text = found(session, Prompt, prompt_id).text
        rule = revision_of(session, project).config.content
        rows = [image_row(image, text, rule, group_id=group.id) for image in images]
        session.add_all(rows)
        if sum(row.withheld is None for row in rows) < LEAST_SHOWN:
            group.retired_reason = group.retired_reason or SET_ASIDE
        if any(row.withheld == "unchecked" for row in rows):  # the setting has just changed
            ask_for_check(session, project_id)
        return group


def bring_to(db: Database, group_id: str, rater: str) -> None:
    """The group comes next for this rater."""
    with db.write() as session:
        group = found(session, Group, group_id)
        found(session, Project, group.project_id, lock=True)
        bring_back(session, group, raters.named(session, group.project_id, rater))


def image_row(
    image: NewImage,
    prompt: str,
    content: str,
    group_id: str | None = None,
    samples_id: str | None = None,
) -> Image:
    """The row of a picture, under the project's `content`."""
    return Image(
        group_id=group_id,
        samples_id=samples_id,
        position=image.position,
        prompt=prompt,
        seed=image.seed,
        width=image.width,
        height=image.height,
        key=image.file.key,
        sha256=image.file.sha256,
        size=image.file.size,
        sensitive=image.sensitive,
        withheld=withheld(content, image.sensitive),
    )


def get(db: Database, group_id: str) -> Group:
    """One group, or NotFound."""
    with db.read() as session:
        return found(session, Group, group_id)


def images(db: Database, group_id: str) -> list[Image]:
    """The group's images in the order of its trajectory file."""
    with db.read() as session:
        return _images(session, group_id)


def image(db: Database, image_id: str) -> Image:
    """One image, of a group or of samples, or NotFound; Forbidden where nobody is shown it."""
    with db.read() as session:
        row = found(session, Image, image_id)
    if row.withheld is not None:
        raise Forbidden(SENTENCES[row.withheld], "image_withheld")
    return row


def detail(db: Database, group_id: str, rater: str) -> GroupDetail:
    """Version, seeds, settings and rewards; Forbidden before this rater has judged the group."""
    with db.read() as session:
        group = found(session, Group, group_id)
        rating = _judgement(session, group, rater)
        rows = _images(session, group_id)
        ids, hidden = [row.id for row in rows], out_of_sight(session, [group_id])
        derived = derived_of(rating.mode, rating.judgement, ids, hidden)
        rule = revision_of(session, found(session, Project, group.project_id)).config.content
        return GroupDetail(
            id=group.id,
            kind=group.kind,
            prompt=found(session, Prompt, group.prompt_id).text,
            version=found(session, Version, group.version_id).number,
            settings=found(session, SettingsRevision, group.revision_id).values,
            images=rows,
            rewards=derived.rewards,
            advantages=derived.advantages,
            scores=_scores(session, ids),
            versions=made_by(session, group, ids),
            blurred={row.id: is_blurred(rule, row.sensitive) for row in rows},
        )


def made_by(session: Session, group: Group, images: Sequence[str]) -> dict[str, int]:
    """The number of the version that made each of the group's images, given in their order."""
    numbers = dict.fromkeys(images, found(session, Version, group.version_id).number)
    if group.opponent_id is not None:
        numbers[images[1]] = found(session, Version, group.opponent_id).number
    return numbers


def retire_stale(session: Session, project: Project) -> None:
    """Retire unjudged groups too far behind the live version or off its line."""
    session.flush()
    tree = Tree(session, project.id)
    line = tree.line(project.live_version_id)
    for version_id in tree.ids():
        if version_id in line[: MOST_VERSIONS_BEHIND + 1]:
            continue
        reason = _STALE.format(most=MOST_VERSIONS_BEHIND) if version_id in line else _OFF_LINE
        unjudged = (
            Group.project_id == project.id,
            Group.version_id == version_id,
            Group.judged_by == 0,
            Group.used_by_update_id.is_(None),
            Group.retired_reason.is_(None),
        )
        changed(session, update(Group).where(*unjudged).values(retired_reason=reason))


def _images(session: Session, group_id: str) -> list[Image]:
    wanted = select(Image).where(Image.group_id == group_id).order_by(Image.position)
    return list(session.scalars(wanted))


def _judgement(session: Session, group: Group, rater_name: str) -> Rating:
    rater = raters.known(session, group.project_id, rater_name)
    wanted = select(Rating).where(
        Rating.group_id == group.id,
        Rating.rater_id == (rater.id if rater else ""),
        Rating.status == "active",
        Rating.mode != "skip",
    )
    rating = session.scalars(wanted).first()
    if rating is None:
        raise Forbidden("Judge this group first; then you may see which version made it.")
    return rating


def _scores(session: Session, image_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    wanted = select(Score).where(Score.image_id.in_(image_ids)).order_by(Score.created_at)
    found_scores: dict[str, dict[str, float]] = {}
    for score in session.scalars(wanted):
        found_scores.setdefault(score.source, {})[score.image_id] = score.value
    return found_scores
