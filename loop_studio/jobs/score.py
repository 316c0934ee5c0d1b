"""Job `score`: raw scores of automatic rewards, for groups that lack them or for a trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loop_studio.errors import RewardFailed, StudioError
from loop_studio.jobs import content, learned, trials
from loop_studio.jobs.bench import Bench, Stopping
from loop_studio.jobs.pictures import opened
from loop_studio.jobs.sources import Source, nothing
from loop_studio.rewards.model import CANNOT_SCORE
from loop_studio.storage import groups, jobs, projects, scores, scoring
from loop_studio.storage.schema import Image, Job


def run(bench: Bench, job: Job) -> None:
    """Score the project's groups by the rewards of a settings revision, newest first.

    Whatever else waits goes first; what is scored stays scored.
    """
    if "images" in job.payload:
        return trials.run(bench, job)
    if "content" in job.payload:
        return content.run(bench, job)
    assert job.project_id is not None
    sources = projects.revision(bench.db, job.payload["revision_id"]).reward.sources()
    total = scoring.count(bench.db, job.project_id) * len(sources)
    done = 0
    for name, parameters in sources.items():
        done += _score_groups(bench, job, Source(name, parameters), done, total)
    learned.appraise_open(bench, job)
    bench.between(job, "scoring", total, total)
    jobs.finish(bench.db, job, "succeeded")


def _score_groups(bench: Bench, job: Job, source: Source, done: int, total: int) -> int:
    """Score the groups that lack it; returns how many groups the project has."""
    assert job.project_id is not None

    def report() -> None:
        bench.between(job, "scoring", done, total)

    version = source.version(bench, report)
    lacking = scoring.lacking(bench.db, job.project_id, source.name, version)
    groups_in_all = scoring.count(bench.db, job.project_id)
    last = done + groups_in_all
    failure: StudioError | None = None
    for place, group_id in enumerate(lacking):
        done = last - len(lacking) + place
        report()
        if scoring.is_pressed(bench.db, job):
            raise Stopping("Other work goes first.")
        try:
            score_images(bench, source, groups.images(bench.db, group_id), report)
        except CANNOT_SCORE as error:
            if is_lasting(error):
                raise
            failure = error
    if failure is not None:
        raise failure
    return groups_in_all


def score_images(
    bench: Bench,
    source: Source,
    images: Sequence[Image],
    meanwhile: Callable[[], object] = nothing,
) -> dict[str, float]:
    """Raw score per image id; images that have one of this source's version keep it.

    Of a groupwise source, all images are one group. Raises one of `CANNOT_SCORE`; then none of
    these scores is kept.
    """
    version = source.version(bench, meanwhile)
    known = scores.of_images(bench.db, [image.id for image in images], source.name, version)
    lacking = [image for image in images if image.id not in known]
    if lacking:
        asked = images if source.entry.groupwise else lacking
        found = source.score(
            bench,
            [opened(bench.files, image.key) for image in asked],
            [image.prompt for image in asked],
            meanwhile,
        )
        new = {image.id: value for image, value in zip(asked, found, strict=True)}
        rows = [(image_id, source.name, version, value) for image_id, value in new.items()]
        scores.put(bench.db, rows)
        known |= {image_id: value for image_id, value in new.items() if image_id not in known}
    return known


def is_lasting(error: StudioError) -> bool:
    """Whether the next pictures would meet the same error."""
    return not isinstance(error, RewardFailed) or error.lasting
