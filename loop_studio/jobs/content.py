"""The safety checker at work: on pictures as they are made, and on those made before it looked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from loop_studio.errors import NotFound
from loop_studio.jobs import pictures
from loop_studio.jobs.bench import Bench
from loop_studio.storage import content, jobs, projects
from loop_studio.storage import verdicts as stored
from loop_studio.storage.schema import Image, Job, Project

AT_ONCE = 16  # pictures between two looks at who waits


def verdicts(bench: Bench, project: Project, drawn: NDArray[np.uint8]) -> Sequence[bool | None]:
    """What the project's safety checker says of pictures (N, H, W, 3); None where there is none.

    Raises ModelUnusable where pictures are to be blocked and nothing can tell which.
    """
    checker = bench.models.safety_checker(project, projects.config(bench.db, project.id))
    return [None] * len(drawn) if checker is None else checker.sensitive(drawn)


def run(bench: Bench, job: Job) -> None:
    """Check the project's pictures that no checker has seen; what is checked stays checked."""
    assert job.project_id is not None
    project = projects.get(bench.db, job.project_id)
    checker = bench.models.safety_checker(project, projects.config(bench.db, project.id))
    done, after = 0, ""
    while checker is not None and (images := content.unseen(bench.db, project.id, AT_ONCE, after)):
        bench.between(job, "checking pictures", done, done + len(images))
        found = {}
        for image in images:
            with suppress(NotFound):  # a file that was lost shows nothing
                [found[image.id]] = checker.sensitive(_pixels(bench, image))
        stored.record(bench.db, project.id, found)
        done, after = done + len(images), images[-1].id
    jobs.finish(bench.db, job, "succeeded")


def _pixels(bench: Bench, image: Image) -> NDArray[np.uint8]:
    return np.asarray(pictures.opened(bench.files, image.key))[None]
