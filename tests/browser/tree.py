"""A tree of versions with real rows and files, as the worker would have made it."""

from __future__ import annotations

from itertools import product

from loop_studio.storage import groups, jobs, ratings, samples, scores, updates, versions
from loop_studio.storage.files import new_key
from loop_studio.storage.groups import NewImage
from loop_studio.storage.schema import Project, Version
from loop_studio.storage.updates import NewInput
from tests.browser.studio import Studio, picture


def grow(studio: Studio, project: Project, *raters: str) -> Version:
    """The next version: each rater has judged a group for it."""
    db = studio.db
    for rater in raters or ("Ada",):
        studio.make_groups(project, 1)
        shown = groups.next_for(db, project.id, rater)
        assert shown is not None
        judgement = {image.id: float(place == 0) for place, image in enumerate(shown.images)}
        event = f"{rater}-{shown.id}"
        ratings.record(db, ratings.RatingIn(event, shown.id, rater, "best", dict(judgement)))
    update = updates.create(db, project.id)
    job = jobs.claim(db, "w", kinds=["update"], project_id=project.id)
    assert job is not None
    updates.start(db, update.id, job)
    return publish(studio, update.id, job)


def publish(studio: Studio, update_id: str, job: jobs.Job) -> Version:
    """End an update with a version of its own."""
    claimed = updates.claim_groups(studio.db, update_id)
    inputs = [
        NewInput(
            row.group_id, image, "human", row.rater_id, row.sequence, "best", reward, 1, reward, 0
        )
        for row in updates.judgements(studio.db, [group.id for group in claimed])
        for image, reward in row.rewards.items()
    ]
    updates.record_inputs(studio.db, update_id, inputs, {})
    kinds = ("resume", "diffusers", "kohya")
    files = {
        kind: studio.files.put(new_key(".safetensors"), kind.encode() * 5000) for kind in kinds
    }
    metrics = {"policy/kl_to_base": 0.21}
    return updates.publish(studio.db, job, update_id, files, metrics)


def render(studio: Studio, project: Project, most: int | None = None) -> None:
    """Finish samples that wait, all or `most` of them, each version with pictures of its own."""
    done = 0
    while done != most:
        job = jobs.claim(studio.db, "w", kinds=["samples"], project_id=project.id)
        if job is None:
            return
        row, _ = samples.get(studio.db, job.payload["samples_id"])
        number = versions.get(studio.db, row.version_id).number
        cells = list(product(row.prompts, row.seeds["seeds"]))
        pictures = [
            NewImage(
                place,
                seed,
                64,
                64,
                studio.files.put(new_key(".png"), picture(100 * number + place)),
                text,
            )
            for place, (text, seed) in enumerate(cells)
        ]
        samples.add_images(studio.db, row.id, pictures)
        images = samples.get(studio.db, row.id)[1]
        scores.put(
            studio.db,
            [
                (one.id, "clip_score", "1", 0.2 + 0.01 * number + 0.001 * i)
                for i, one in enumerate(images)
            ],
        )
        jobs.finish(studio.db, job, "succeeded")
        done += 1
