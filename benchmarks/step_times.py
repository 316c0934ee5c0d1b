"""Step times of real updates, recorded for the tests of the time left.

    python -m benchmarks.step_times [--out FILE]        some minutes

Updates of the starter model on this machine: two without a brake on the distance from the base,
two with one, whose references come first. The second of each pair knows the speed of the first. A
step is [transitions left without a gradient, transitions left of training, second of its end]; the
seconds are those of the processor, so that what else the machine does leaves no trace.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loop_studio.jobs import bench
from loop_studio.jobs.autopilot import make_worker
from loop_studio.jobs.pace import Pace
from loop_studio.jobs.worker import Worker
from loop_studio.rl.course import Pass
from loop_studio.settings import STARTER, Settings
from loop_studio.starter.prompts import STARTER_PROMPTS
from loop_studio.storage import groups, jobs, projects, ratings, updates
from loop_studio.storage.database import Database
from loop_studio.storage.migration import migrate
from loop_studio.storage.ratings import RatingIn

OUT = Path(__file__).parents[1] / "tests" / "jobs" / "step_times.json"
GROUPS = 4
PROMPTS = STARTER_PROMPTS[:2]  # a version's probe wall is drawn for each
SETTINGS = {
    "num_inference_steps": 10,
    "micro_batch": 4,
    "guard": False,
    "auto_update_groups": None,
    "buffer_groups": GROUPS,
    "max_groups_per_update": GROUPS,
}
BRAKES = {"with a brake": 0.01, "without a brake": 0.0}


class Recorded(Pace):
    """A pace that remembers what it was told."""

    last: Recorded

    def __init__(self, past: Mapping[str, float] | None = None) -> None:
        super().__init__(past)
        self.steps: list[tuple[int, int, float]] = []
        Recorded.last = self

    def see(self, left: Mapping[Pass, int], at: float) -> None:
        """A step of the update."""
        at = time.process_time()
        super().see(left, at)
        if not self.steps or self.steps[-1][:2] != (left["reference"], left["training"]):
            self.steps.append((left["reference"], left["training"], round(at, 4)))


def main() -> None:
    """Record the updates and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    bench.Pace = Recorded  # type: ignore[misc]  # the one place where an update takes its pace
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), port=0, device="cpu")
        migrate(settings)
        db = Database(settings.resolved_database_url)
        worker = make_worker(settings, db)
        told = [one for name in BRAKES for one in pair(db, worker, name)]
        db.dispose()
    lines = ",\n".join(json.dumps(one) for one in told)
    out.write_text(f"[\n{lines}\n]\n")


def pair(db: Database, worker: Worker, name: str) -> list[dict[str, Any]]:
    """Two updates of one project."""
    listed = [(text, []) for text in PROMPTS]
    values = SETTINGS | {"kl_weight": BRAKES[name]}
    project = projects.create(db, name, STARTER, listed, values)
    found = []
    for title in (name, f"{name}, after another"):
        rate(db, worker, project.id)
        updates.create(db, project.id)
        finish(worker)
        found.append({"name": title, "steps": Recorded.last.steps})
        print(f"{title}: {len(Recorded.last.steps)} steps", flush=True)
    return found


def rate(db: Database, worker: Worker, project_id: str) -> None:
    """Best-of-k judgements of as many groups as an update takes."""
    for _ in range(GROUPS):
        while (shown := groups.next_for(db, project_id, "ann", [])) is None:
            jobs.refill(db, project_id)
            finish(worker)
        judgement = {image.id: float(place == 0) for place, image in enumerate(shown.images)}
        ratings.record(db, RatingIn(shown.id, shown.id, "ann", "best", dict(judgement)))


def finish(worker: Worker) -> None:
    """Run every job that waits."""
    while worker.run_next():
        pass


if __name__ == "__main__":
    main()
