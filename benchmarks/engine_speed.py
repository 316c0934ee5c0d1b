"""How close rollout and update come to the floor of their UNet passes, on the starter model.

python -m benchmarks.engine_speed [--pairs 7] [--threads 2]

The floor is the number of sample-forwards that the algorithm needs times the lowest time per
sample over batches of 8 to 128 of the same UNet with an adapter attached: without gradients for a
rollout; forward and backward to the LoRA's parameters for an update, plus the gradient-free passes
of its KL reference. Floor and engine run in turns (A-B-A-B), and the JSON gives the median of the
ratios with its quartiles. Train nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from loop_studio.config import ProjectConfig
from loop_studio.diffusion import lora_file, trajectory_file
from loop_studio.diffusion.adapters import LoraShape
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.jobs.models import drawn_steps_of, sampler_of
from loop_studio.rl.fidelity import replay_deviation
from loop_studio.rl.types import JudgedGroup
from loop_studio.rl.update import LoopConfig, kl_to_base, train
from loop_studio.starter.paths import DIFFUSION_FOLDER

BATCHES = (8, 16, 32, 64, 128)
GROUPS = 8
PROMPT = "a red circle"


@dataclass(frozen=True)
class Ratio:
    """Engine over floor: the median of pairs, its quartiles, and the seconds behind it."""

    median: float
    quartiles: tuple[float, float]
    engine_s: float
    floor_s: float
    pairs: int


class Engine:
    """The starter under default settings, with an adapter that is not zero."""

    def __init__(self) -> None:
        self.config = ProjectConfig()
        shape = LoraShape(self.config.lora_rank, self.config.lora_alpha, self.config.lora_targets)
        self.policy = StableDiffusionPolicy.load(
            DIFFUSION_FOLDER, shape, device=torch.device("cpu"), dtype=torch.float32
        )
        generator = torch.Generator().manual_seed(0)
        self.policy.adapters.reset("live", shape, seed=0)
        with torch.no_grad():
            for name, parameter in self.policy.adapters.parameters("live").items():
                if ".lora_B." in name:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.01)
        self.policy.adapters.copy("live", "learner")
        self.sampler = sampler_of(self.config)
        self.passes_per_step = 2 if self.config.guidance_scale > 1 else 1

    def rollout(self, first_seed: int = 0) -> bytes:
        """A group from claim to images in memory, and its trajectories as the bytes of a file."""
        seeds = list(range(first_seed, first_seed + self.config.group_size))
        made = self.policy.rollout(
            PROMPT, seeds, self.sampler, drawn_steps=drawn_steps_of(self.config)
        )
        return trajectory_file.pack(made.trajectories)

    def groups(self) -> list[JudgedGroup]:
        """Eight groups, in each of which one image was chosen as the best."""
        k = self.config.group_size
        pushes = torch.tensor([[1 - 1 / k] + [-1 / k] * (k - 1)], dtype=torch.float64)
        return [
            JudgedGroup(
                f"group {number}",
                trajectory_file.unpack(self.rollout(100 * number)),
                pushes,
                torch.tensor([k]),
            )
            for number in range(GROUPS)
        ]

    def update(self, groups: Sequence[JudgedGroup]) -> None:
        """Fidelity check, training, KL to base, the three files and publishing."""
        policy, config = self.policy, self.config
        policy.adapters.copy("live", "learner")
        for group in groups:
            replay_deviation(policy, group.trajectories, "live", step=0)
        optimizer = torch.optim.AdamW(
            policy.parameters(), lr=config.learning_rate, weight_decay=0.0
        )
        loop = LoopConfig(
            passes=config.passes,
            minibatches=config.minibatches,
            clip_nats=config.clip_nats,
            kl_weight=config.kl_weight,
            max_grad_norm=config.max_grad_norm,
            micro_batch=config.micro_batch,
        )
        for _ in train(policy, optimizer, groups, loop, seed=0):
            pass
        kl_to_base(policy, groups, config.micro_batch, seed=0)
        checkpoint = lora_file.Checkpoint(
            adapter=policy.adapters.state("learner"),
            shape=policy.adapters.shapes["learner"],
            optimizer=lora_file.optimizer_state(optimizer, policy.adapters.parameters("learner")),
            scaler={},
        )
        lora_file.pack_checkpoint(checkpoint)
        lora_file.diffusers_lora(checkpoint, {})
        lora_file.kohya_lora(checkpoint, {}, name="benchmark")
        start = policy.adapters.state("live")
        policy.adapters.copy("learner", "live")
        policy.adapters.load("live", start, policy.adapters.shapes["live"])  # for the next pair

    def forwards(self, batch: int, samples: int, *, backward: bool) -> None:
        """`samples` bare UNet samples in batches of `batch`, the floor's work."""
        policy = self.policy
        width = policy.unet.config.cross_attention_dim
        length = policy.tokenizer.model_max_length
        latents = torch.zeros((batch, *policy.latent_shape))
        timesteps = torch.full((batch,), 500)
        embeddings = torch.zeros((batch, length, width))
        policy.adapters.use("learner" if backward else "live")
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


def per_sample(engine: Engine, *, backward: bool, rounds: int = 4) -> dict[int, float]:
    """Lowest milliseconds per sample of each batch size, batch sizes in turns."""
    best = dict.fromkeys(BATCHES, float("inf"))
    for _ in range(rounds):
        for batch in BATCHES:
            took = seconds(lambda b=batch: engine.forwards(b, 128, backward=backward))
            best[batch] = min(best[batch], 1000 * took / 128)
    return best


def compare(floor: Callable[[], object], engine: Callable[[], object], pairs: int) -> Ratio:
    """A-B-A-B: floor and engine in turns, after one of each that does not count."""
    floor(), engine()
    times = [(seconds(floor), seconds(engine)) for _ in range(pairs)]
    ratios = sorted(engine_s / floor_s for floor_s, engine_s in times)
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(
        median=round(median, 3),
        quartiles=(round(low, 3), round(high, 3)),
        engine_s=round(statistics.median(time_ for _, time_ in times), 3),
        floor_s=round(statistics.median(time_ for time_, _ in times), 3),
        pairs=pairs,
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    report: dict[str, object] = {"machine": machine()}
    engine = Engine()
    groups = engine.groups()
    config = engine.config
    forward = per_sample(engine, backward=False)
    backward = per_sample(engine, backward=True)
    best, best_back = min(forward, key=forward.__getitem__), min(backward, key=backward.__getitem__)
    samples = config.group_size * config.num_inference_steps * engine.passes_per_step
    transitions = int(sum(group.trajectories.trained.sum() for group in groups))
    samples_once = transitions * engine.passes_per_step

    def update_floor() -> None:
        engine.forwards(best_back, samples_once * config.passes, backward=True)
        if config.kl_weight > 0:
            engine.forwards(best, samples_once, backward=False)

    report |= {
        "forward_ms_per_sample": {b: round(ms, 3) for b, ms in forward.items()},
        "forward_backward_ms_per_sample": {b: round(ms, 3) for b, ms in backward.items()},
        "rollout": asdict(
            compare(
                lambda: engine.forwards(best, samples, backward=False),
                engine.rollout,
                max(chosen.pairs, 15),
            )
        ),
        "update": asdict(compare(update_floor, lambda: engine.update(groups), chosen.pairs)),
        "goals": {"rollout": 1.15, "update": 1.2},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
