"""What an update of 32 groups needs more than one of 8, and what a group costs on disk.

python -m benchmarks.engine_memory

Peak memory is the largest resident set of a fresh process that makes 8 groups on the starter and
runs one update, on these 8 or on 32 (each group four times over, in memory of its own). Bytes are
those of a group's trajectory file, over its stored latents alone: k x (S + 1) x D x 4.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from loop_studio.config import ProjectConfig
from loop_studio.diffusion import trajectory_file
from loop_studio.diffusion.policy import Rollout
from loop_studio.library import Loop, load_policy
from loop_studio.starter.prompts import STARTER_PROMPTS

RESULTS = Path(__file__).parent / "results" / "engine_memory.json"
SMALL, LARGE = 8, 32  # groups
GOALS = {"peak": 1.05, "bytes": 1.02}


def peak_of(groups: int) -> int:
    """Bytes of the largest resident set of this process, after an update of `groups` groups."""
    loop = Loop(load_policy())
    made = loop.rollouts(STARTER_PROMPTS[:SMALL])
    held = [_own_memory(made[number % SMALL]) for number in range(groups)]
    loop.update(held, [[1.0, *[0.0] * (len(group.images) - 1)] for group in held])
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024)


def _own_memory(group: Rollout) -> Rollout:
    stored = group.trajectories
    copied = replace(stored, latents=stored.latents.clone(), log_probs=stored.log_probs.clone())
    return replace(group, trajectories=copied)


def bytes_per_latents() -> float:
    """Size of a group's file over that of its latents."""
    (group,) = Loop(load_policy(), ProjectConfig()).rollouts(STARTER_PROMPTS[:1])
    latents = group.trajectories.latents
    return len(trajectory_file.pack(group.trajectories)) / (4 * latents.numel())


def _in_a_fresh_process(groups: int) -> int:
    command = [sys.executable, "-m", "benchmarks.engine_memory", "--groups", str(groups)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure and write one small JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--groups", type=int, help="measure this process alone")
    options = parser.parse_args()
    if options.groups:
        print(peak_of(options.groups))
        return
    small, large = (_in_a_fresh_process(groups) for groups in (SMALL, LARGE))
    found = {
        "peak_mib": {str(SMALL): small >> 20, str(LARGE): large >> 20},
        "peak": round(large / small, 3),
        "bytes": round(bytes_per_latents(), 4),
        "goals": GOALS,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
