"""A version's adapter as bytes: for resuming, for diffusers, and in kohya's keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

import torch
from diffusers.utils import convert_state_dict_to_kohya
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from loop_studio.diffusion.adapters import LoraShape, State
from loop_studio.errors import ModelUnusable


@dataclass(frozen=True)
class Checkpoint:
    """All that the next update continues from."""

    adapter: State
    shape: LoraShape
    optimizer: dict[str, Tensor]  # "exp_avg.<layer>", "exp_avg_sq.<layer>", "step"
    scaler: dict[str, float]  # dynamic loss scale of fp16; empty otherwise


def pack_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The `resume` file of a version."""
    tensors = {f"adapter.{name}": tensor for name, tensor in checkpoint.adapter.items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in checkpoint.optimizer.items()}
    metadata = {"shape": json.dumps(asdict(checkpoint.shape))}
    return save(tensors, metadata | {"scaler": json.dumps(checkpoint.scaler)})


def unpack_checkpoint(data: bytes) -> Checkpoint:
    """The inverse of `pack_checkpoint`; raises ModelUnusable for a damaged file."""
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        return Checkpoint(
            adapter=_under("adapter.", tensors),
            shape=LoraShape(**json.loads(header["shape"])),
            optimizer=_under("optimizer.", tensors),
            scaler=json.loads(header["scaler"]),
        )
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelUnusable(
            "The file of this version is damaged. Make another version live, and check the disk "
            "that holds the data folder."
        ) from error


def optimizer_state(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """AdamW's moments by layer name, on the CPU; empty before its first step."""
    return {
        f"{field}.{name}": value.detach().to("cpu", copy=True).reshape(value.shape)
        for name, parameter in parameters.items()
        for field, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    state: Mapping[str, Tensor],
) -> None:
    """Continue from stored moments, bit for bit; an empty `state` starts afresh."""
    for name, parameter in parameters.items():
        fields = {key.partition(".")[0] for key in state if key.endswith(f".{name}")}
        kept = {field: state[f"{field}.{name}"].clone() for field in sorted(fields)}
        if kept:
            optimizer.state[parameter] = {
                field: value if field == "step" else value.to(parameter.device)
                for field, value in kept.items()
            }


def diffusers_lora(checkpoint: Checkpoint, facts: Mapping[str, str]) -> bytes:
    """For `pipeline.load_lora_weights`: PEFT keys under `unet.`, with rank and alpha inside.

    `facts` join the header, here as in `kohya_lora`: other tools show them to people.
    """
    config = LoraConfig(
        r=checkpoint.shape.rank,
        lora_alpha=checkpoint.shape.alpha,
        target_modules=checkpoint.shape.modules,
    ).to_dict()
    plain = {
        f"unet.{key}": sorted(value) if isinstance(value, set) else value
        for key, value in config.items()
    }
    header = {"format": "pt", "lora_adapter_metadata": json.dumps(plain, default=str)}
    return save(_prefixed(checkpoint.adapter), metadata={**header, **facts})


def kohya_lora(checkpoint: Checkpoint, facts: Mapping[str, str], *, name: str) -> bytes:
    """For ComfyUI, A1111 and their kin: `lora_unet_*` keys with the true alpha in each.

    diffusers' own conversion writes alpha := rank, which changes the strength; it is put right.
    """
    tensors = convert_state_dict_to_kohya(_prefixed(checkpoint.adapter))
    for key in tensors:
        if key.endswith(".alpha"):
            tensors[key] = torch.tensor(float(checkpoint.shape.alpha))
    header = {
        "ss_output_name": name,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(checkpoint.shape.rank),
        "ss_network_alpha": str(checkpoint.shape.alpha),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.implementation": "diffusers",
        "modelspec.title": name,
        "modelspec.hash_sha256": sha256(save(dict(sorted(tensors.items())))).hexdigest(),
        **facts,
    }
    return save(tensors, metadata=header)


def _prefixed(adapter: State) -> State:
    return {f"unet.{name}": tensor.contiguous() for name, tensor in adapter.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
