"""A small studio to test against: projects, groups and gestures in one line each."""

from __future__ import annotations

from loop_studio.storage import groups, jobs, projects, prompts, ratings, updates, versions
from loop_studio.storage.database import Database
from loop_studio.storage.files import StoredFile, new_key
from loop_studio.storage.groups import NewImage
from loop_studio.storage.ratings import RatingIn, RatingOut
from loop_studio.storage.schema import Group, Job, Project, Update, Version, new_id

TEXTS = ("a red fish", "a blue moon", "two stars")
FILES = {kind: StoredFile(f"v/{kind}", "0" * 64, 3) for kind in ("resume", "diffusers", "kohya")}


def stored() -> StoredFile:
    return StoredFile(new_key(".png"), "0" * 64, 10)


def make_project(db: Database, **values: object) -> Project:
    quiet = {"auto_update_groups": None, "buffer_groups": 1, "min_groups": 1}
    listed = [(text, []) for text in TEXTS]
    return projects.create(db, "Test", "starter", listed, {**quiet, **values})


def make_group(
    db: Database, project: Project, version: Version | None = None, job: Job | None = None
) -> Group:
    current = projects.get(db, project.id)
    size = projects.config(db, project.id).group_size
    return groups.record(
        db,
        job=job,
        project_id=project.id,
        prompt_id=prompts.active(db, project.id)[0].id,
        version_id=(version or versions.live(db, project.id)).id,
        revision_id=current.revision_id,
        images=[NewImage(i, seed=i, width=64, height=64, file=stored()) for i in range(size)],
        trajectory=stored(),
    )


def gesture(db: Database, group: Group, best: int = 0) -> dict[str, float | None]:
    images = groups.images(db, group.id)
    return {image.id: float(image.position == best) for image in images}


def rate(
    db: Database, group: Group, rater: str = "ann", event_id: str | None = None, best: int = 0
) -> RatingOut:
    judgement = gesture(db, group, best)
    return ratings.record(db, RatingIn(event_id or new_id(), group.id, rater, "best", judgement))


def judge(
    db: Database, group: Group, mode: str, values: list[float], rater: str = "ann"
) -> RatingOut:
    """A gesture with one value per image, in the order of their positions."""
    images = sorted(groups.images(db, group.id), key=lambda image: image.position)
    judgement = {image.id: value for image, value in zip(images, values, strict=True)}
    return ratings.record(db, RatingIn(new_id(), group.id, rater, mode, dict(judgement)))


def skip(db: Database, group: Group, rater: str = "ann") -> RatingOut:
    return ratings.record(db, RatingIn(new_id(), group.id, rater, "skip", {}))


def shares_of_none(db: Database, project: Project) -> dict[str, float]:
    return {id: share.value for id, share in versions.none_shares(db, project.id).items()}


def start_update(db: Database, project: Project, worker: str = "w") -> tuple[Update, Job]:
    update = updates.create(db, project.id)
    job = jobs.claim(db, worker, kinds=["update"])
    assert job is not None
    return updates.start(db, update.id, job), job


def publish(db: Database, project: Project) -> Version:
    """One whole update; the caller has made the groups that it needs."""
    update, job = start_update(db, project)
    updates.claim_groups(db, update.id)
    return updates.publish(db, job, update.id, FILES, {})
