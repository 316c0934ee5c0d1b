"""Job `score`: raw scores of automatic rewards for groups or samples that lack them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO

from PIL import Image as Pictures

from loop_studio.errors import Refused
from loop_studio.jobs.bench import Bench
from loop_studio.rewards.model import load
from loop_studio.storage import groups, jobs, scores
from loop_studio.storage.schema import Image, Job


class NotFinite(Refused):
    """A reward model answered with NaN or infinity."""

    code = "not_finite"


def run(bench: Bench, job: Job) -> None:
    """Score the images of `payload["group_ids"]` with `payload["sources"]`."""
    group_ids: list[str] = job.payload["group_ids"]
    for step, group_id in enumerate(group_ids):
        bench.between(job, "scoring", step, len(group_ids))
        for source in job.payload["sources"]:
            score_images(bench, source, groups.images(bench.db, group_id))
    jobs.finish(bench.db, job, "succeeded")


def score_images(bench: Bench, source: str, images: Sequence[Image]) -> dict[str, float]:
    """Raw score per image id; images that have one of this source's version keep it."""
    model = load(source)
    known = scores.of_images(bench.db, [image.id for image in images], source, model.version)
    lacking = [image for image in images if image.id not in known]
    if lacking:
        found = model.score(
            [_open(bench, image) for image in lacking], [image.prompt for image in lacking]
        )
        if not all(map(math.isfinite, found)):
            raise NotFinite(
                f"The reward {source} gave a score that is no number, so none of its scores of "
                "this group were kept. Choose another reward if it comes back."
            )
        rows = [
            (image.id, source, model.version, value)
            for image, value in zip(lacking, found, strict=True)
        ]
        scores.put(bench.db, rows)
        known |= {image.id: value for image, value in zip(lacking, found, strict=True)}
    return known


def _open(bench: Bench, image: Image) -> Pictures.Image:
    with bench.files.open(image.key) as file:
        return Pictures.open(BytesIO(file.read())).convert("RGB")
