"""How close groups and updates come to the floor of their UNet passes, on the starter model.

python -m benchmarks.engine_speed [--pairs 7] [--threads 2]

The engine is a real worker in this process, on a database and files of its own and in a worker's
environment: a group from the claim of its job to its images in memory (and, apart, to its rows), an
update from its claim to the published version. Groups are made as many to a pass as the studio
makes ahead of the raters, and also one alone. The floor is the
number of sample-forwards that the algorithm needs times the lowest time per sample over batches of
8 to 128 of the same UNet: for a rollout without gradients, with the live adapter acting in as many
steps as it does there; for an update forward and backward to the LoRA's parameters, plus the
gradient-free passes of its KL reference. Floor and engine run in turns (A-B-A-B); printed are the
medians of the ratios with their quartiles, each as it lands. Train nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from loop_studio.config import ProjectConfig
from loop_studio.diffusion.policy import Rollout, StableDiffusionPolicy
from loop_studio.diffusion.recipe import groups_per_pass, sampler_of
from loop_studio.jobs.autopilot import make_worker
from loop_studio.rl.types import Weights
from loop_studio.settings import STARTER, TUNING, Settings
from loop_studio.starter.prompts import STARTER_PROMPTS
from loop_studio.storage import groups, jobs, projects, prompts, ratings, updates, versions
from loop_studio.storage.database import Database
from loop_studio.storage.migration import migrate
from loop_studio.storage.ratings import RatingIn

BATCHES = (8, 16, 32, 64, 128)
GROUPS = 8
GOALS = {"group": 1.15, "update": 1.2}


@dataclass(frozen=True)
class Ratio:
    """Engine over floor: the median of pairs, its quartiles, and the seconds behind it."""

    median: float
    quartiles: tuple[float, float]
    engine_s: float
    floor_s: float
    pairs: int


class Engine:
    """A worker with a project on the starter, whose live version is not the base."""

    def __init__(self, data: Path) -> None:
        settings = Settings(data=data)
        migrate(settings)
        self.db = Database(settings.resolved_database_url)
        self.worker = make_worker(settings, self.db)
        quiet = {"auto_update_groups": None, "max_groups_per_update": GROUPS}
        self.project = projects.create(
            self.db, "Speed", STARTER, [(prompt, []) for prompt in STARTER_PROMPTS], quiet
        )
        self.config: ProjectConfig = projects.config(self.db, self.project.id)
        self.sampler = sampler_of(self.config)
        self.update(self.judged())
        live = versions.live(self.db, self.project.id)
        self.policy: StableDiffusionPolicy = self.worker.bench.models.ready(
            self.project, self.config, "live", live
        )
        self.images_at = 0.0
        sampled = self.policy.rollouts

        def stamped(*arguments: Any, **options: Any) -> list[Rollout]:
            made = sampled(*arguments, **options)
            self.images_at = time.perf_counter()
            return made

        self.policy.rollouts = stamped  # type: ignore[method-assign]  # the clock alone

    def rollouts(self, count: int) -> None:
        """Queue the jobs of `count` groups."""
        for prompt in prompts.active(self.db, self.project.id)[:count]:
            wanted = {"prompt_id": prompt.id}
            jobs.enqueue(self.db, "rollout", self.project.id, wanted, priority=99)

    def run(self, count: int) -> None:
        """From the claim of `count` queued jobs to their end."""
        worker_id = self.worker.bench.worker_id
        claimed = list(filter(None, (jobs.claim(self.db, worker_id) for _ in range(count))))
        assert len(claimed) == count
        self.worker.run(*claimed)
        for job in claimed:
            assert jobs.get(self.db, job.id).state == "succeeded", job.kind

    def judged(self) -> str:
        """Eight groups, in each of which the first image was chosen; and the update that waits."""
        together = groups_per_pass(self.config)
        for _ in range(-(-GROUPS // together)):
            self.rollouts(together)
            self.run(together)
        for _ in range(GROUPS):
            shown = groups.next_for(self.db, self.project.id, "ann", [])
            assert shown is not None
            best = shown.images[0].id
            judgement = {image.id: float(image.id == best) for image in shown.images}
            ratings.record(self.db, RatingIn(shown.id, shown.id, "ann", "best", judgement))
        while (job := jobs.claim(self.db, self.worker.bench.worker_id)) is not None:
            jobs.finish(self.db, job, "cancelled")  # buffers and probe walls, which run in between
        return updates.create(self.db, self.project.id).id

    def update(self, update_id: str) -> None:
        """From the claim of the update's job to the published version."""
        self.run(1)
        assert updates.get(self.db, update_id).status == "succeeded"

    def forwards(self, batch: int, samples: int, weights: Weights, *, backward: bool) -> None:
        """`samples` bare UNet samples in batches of `batch`, the floor's work."""
        policy = self.policy
        width = policy.unet.config.cross_attention_dim
        length = policy.conditioner([""]).states.shape[1]
        latents = torch.zeros((batch, *policy.latent_shape))
        timesteps = torch.full((batch,), 500)
        embeddings = torch.zeros((batch, length, width))
        policy.adapters.use(weights)
        with torch.set_grad_enabled(backward):
            for start in range(0, samples, batch):
                n = min(batch, samples - start)
                output = policy.unet(
                    latents[:n], timesteps[:n], encoder_hidden_states=embeddings[:n]
                ).sample
                if backward:
                    output.sum().backward()
        for parameter in policy.parameters():
            parameter.grad = None


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def per_sample(
    engine: Engine, weights: Weights, *, backward: bool, rounds: int = 4
) -> dict[int, float]:
    """Lowest milliseconds per sample of each batch size, batch sizes in turns."""
    best = dict.fromkeys(BATCHES, float("inf"))
    for _ in range(rounds):
        for batch in BATCHES:
            took = seconds(lambda b=batch: engine.forwards(b, 128, weights, backward=backward))
            best[batch] = min(best[batch], 1000 * took / 128)
    return best


def ratio(times: Sequence[tuple[float, float]]) -> Ratio:
    """Of pairs (floor, engine) in seconds."""
    ratios = [engine_s / floor_s for floor_s, engine_s in times]
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(
        median=round(median, 3),
        quartiles=(round(low, 3), round(high, 3)),
        engine_s=round(statistics.median(engine_s for _, engine_s in times), 3),
        floor_s=round(statistics.median(floor_s for floor_s, _ in times), 3),
        pairs=len(times),
    )


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (cpuinfo.read_text().splitlines() if cpuinfo.exists() else [])
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_average_before": os.getloadavg()[0],
    }


def measure(engine: Engine, pairs: int) -> Iterator[tuple[str, object]]:
    """Every figure with its name, as it lands."""
    config, sampler = engine.config, engine.sampler
    k, together = config.group_size, groups_per_pass(config)
    passes = 2 if config.guidance_scale > 1 else 1
    acting = sampler.lora_steps or sampler.num_inference_steps
    idle = sampler.num_inference_steps - acting

    per_weights: dict[Weights, dict[int, float]] = {}
    for weights in ("live", "base"):
        per_weights[weights] = per_sample(engine, weights, backward=False)
        yield f"forward_ms_per_sample_{weights}", per_weights[weights]
    back = per_sample(engine, "learner", backward=True)
    yield "forward_backward_ms_per_sample", back
    best = {weights: min(found, key=found.__getitem__) for weights, found in per_weights.items()}
    best_back = min(back, key=back.__getitem__)

    def rollout_floor(count: int) -> None:
        samples = count * k * passes
        engine.forwards(best["live"], samples * acting, "live", backward=False)
        engine.forwards(best["base"], samples * idle, "base", backward=False)

    for name, count in (("group", together), ("group_alone", 1)):
        to_images, to_rows = [], []
        for _ in range(pairs + 1):
            engine.rollouts(count)
            floor_s = seconds(lambda n=count: rollout_floor(n)) / count
            start = time.perf_counter()
            engine.run(count)
            to_images.append((floor_s, (engine.images_at - start) / count))
            to_rows.append((floor_s, (time.perf_counter() - start) / count))
        yield name, {"groups": count, **asdict(ratio(to_images[1:]))}  # the first does not count
        yield f"{name}_to_rows", asdict(ratio(to_rows[1:]))

    def update_floor() -> None:
        samples = GROUPS * k * acting * passes
        engine.forwards(best_back, samples * config.passes, "learner", backward=True)
        if config.kl_weight > 0:
            engine.forwards(best["base"], samples, "base", backward=False)

    times = []
    for _ in range(pairs + 1):
        waiting = engine.judged()
        times.append((seconds(update_floor), seconds(lambda u=waiting: engine.update(u))))
    yield "update", asdict(ratio(times[1:]))


def main() -> None:
    """Print one JSON object per line: the machine, then each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    if not TUNING.items() <= os.environ.items():
        command = [sys.executable, "-m", "benchmarks.engine_speed", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **TUNING})
    torch.set_num_threads(chosen.threads)
    print(json.dumps({"machine": machine(), "goals": GOALS}), flush=True)
    with tempfile.TemporaryDirectory() as data:
        engine = Engine(Path(data))
        for name, figure in measure(engine, chosen.pairs):
            print(json.dumps({name: figure}), flush=True)


if __name__ == "__main__":
    main()
