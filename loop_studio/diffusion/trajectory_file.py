"""The stored trajectories of one group as the bytes of a safetensors file."""

from __future__ import annotations

import json
from dataclasses import asdict

from safetensors import SafetensorError
from safetensors.torch import load, save

from loop_studio.errors import Unfaithful
from loop_studio.rl.types import Sampler, Trajectories

FORMAT = "loop-trajectories-1"


def pack(trajectories: Trajectories) -> bytes:
    """Latents once per step, float32: 4 KiB each on the starter, 64 KiB on SD 1.5."""
    origin = {"prompt": trajectories.prompt, "sampler": asdict(trajectories.sampler)}
    tensors = {
        "latents": trajectories.latents.contiguous(),
        "log_probs": trajectories.log_probs.contiguous(),
        "timesteps": trajectories.timesteps.contiguous(),
        "trained": trajectories.trained.contiguous(),
    }
    return save(tensors, metadata={"format": FORMAT, "origin": json.dumps(origin)})


def unpack(data: bytes) -> Trajectories:
    """The inverse of `pack`; raises Unfaithful for a file that is not whole."""
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        origin = json.loads(header["__metadata__"]["origin"])
        tensors.pop("anchored", None)  # steps of earlier releases that only a penalty saw
        return Trajectories(
            prompt=origin["prompt"], sampler=Sampler(**origin["sampler"]), **tensors
        )
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise Unfaithful(
            "A stored trajectory file is damaged, so its group cannot teach any more. "
            "Check the disk that holds the data folder."
        ) from error
