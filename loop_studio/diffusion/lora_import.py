"""A LoRA file from elsewhere becomes a checkpoint that the next update continues from.

diffusers itself reads the file, onto a skeleton of the project's UNet that has shapes and no
weights, so that the studio's pictures are those that its `load_lora_weights` makes. What diffusers
would skip with no more than a warning is refused.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils import convert_unet_state_dict_to_peft
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from torch import Tensor

from loop_studio.config import HIGHEST_RANK
from loop_studio.diffusion.adapters import ATTENTION, EVERYTHING, Adapters, LoraShape, fresh
from loop_studio.diffusion.lora_file import Checkpoint
from loop_studio.errors import Refused

_SLOT = "file"
_TEXT_ENCODER = ("text_encoder", "lora_te")
_PLAIN = re.compile(
    r"unet\..+(\.lora_[AB]|[._]lora\.(down|up))\.weight"  # PEFT's names, and diffusers' older ones
    r"|lora_unet_[^.]+\.(lora_(down|up)\.weight|alpha)"  # kohya's
)
# What of a header decides strength. The rest is left alone: peft imports a module that
# `megatron_config` names, and takes other fields, and these patterns, for regular expressions.
_STRENGTH = ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora")
_PLAIN_PATTERN = re.compile(r"\^?[A-Za-z0-9_.]+")

_DAMAGED = (
    "This is not a whole safetensors file. Choose the .safetensors file of a LoRA, and download or "
    "export it again if it was cut off."
)
_TEXT = (
    "This LoRA also changes the text encoder. The studio trains the UNet alone, so its pictures "
    "would not be this LoRA's; import one that was made for the UNet only."
)
_OTHER_KIND = (
    "The file holds {name}, which is not plain LoRA of a UNet in the names of diffusers or kohya "
    "(DoRA, LoHa, LoKr and their kin are not); convert it to one first."
)
_MISFIT = (
    "This LoRA does not fit the project's model: layers that it changes are missing there, or have "
    "another size. Import it in a project on the model that it was made for."
)
_OUTSIDE = (
    "This LoRA changes {layer}, which the studio does not train; import one of attention, "
    "feed-forward and convolution layers only."
)
_NO_STRENGTH = (
    "This LoRA changes nothing, or holds values that are not finite numbers; choose another file."
)
_RANK = (
    "This LoRA has rank {rank}, and the studio trains ranks up to {highest}; resize it to a lower "
    "rank first."
)


@dataclass(frozen=True)
class _Part:
    """What a LoRA adds to one layer: `scale` times `up` after `down`."""

    down: Tensor  # (r, in, ...)
    up: Tensor  # (out, r, ...)
    scale: float  # alpha / rank


def read_lora(file: Path, unet: UNet2DConditionModel) -> Checkpoint:
    """The file's LoRA for a UNet like `unet`, of which only the configuration is read.

    Where ranks or alphas differ between layers, the highest rank and the most frequent scale
    become everyone's: lower ranks are filled up with rows whose B is 0, and B takes up the rest of
    the scale. Layers that the file leaves alone within `attention` or `all`, whichever set holds
    its layers, get a B of 0. So the pictures are the file's, and every row can learn. The
    optimizer starts afresh. Strength is what diffusers makes of it: 0.42 passes over kohya's alpha
    of an attention layer where it differs from the most frequent one in the file.
    Raises Refused with one sentence (code `lora_unusable`).
    """
    names = _names(file)
    parts = _parts(file, unet, sum(not name.endswith(".alpha") for name in names))
    shape = _shape(parts)
    state = fresh(Adapters(_skeleton(unet), shape).parameters("learner"), seed=_seed(names))
    for name, part in parts.items():
        rank, rest = len(part.down), part.scale * shape.rank / shape.alpha
        state[f"{name}.lora_A.weight"][:rank] = part.down
        state[f"{name}.lora_B.weight"][:, :rank] = part.up.float() * rest
    if not all(bool(tensor.isfinite().all()) for tensor in state.values()):
        raise _refused(_NO_STRENGTH)
    return Checkpoint(state, shape, optimizer={}, scaler={})


def _names(file: Path) -> list[str]:
    """The names of the tensors, once all of them are known to be plain LoRA of a UNet."""
    try:
        with safe_open(file, "pt") as opened:
            names = sorted(opened.keys())
    except SafetensorError as error:
        raise _refused(_DAMAGED) from error
    if any(name.startswith(_TEXT_ENCODER) for name in names):
        raise _refused(_TEXT)
    strange = [name for name in names if not _PLAIN.fullmatch(name)]
    if strange or not names:
        raise _refused(_OTHER_KIND.format(name=repr(strange[0][:100]) if names else "no tensor"))
    return names


def _parts(file: Path, unet: UNet2DConditionModel, weights: int) -> dict[str, _Part]:
    """What diffusers makes of the file, by layer; all of its `weights` tensors must be in it."""
    skeleton = _skeleton(unet)
    try:
        state, alphas, metadata = StableDiffusionLoraLoaderMixin.lora_state_dict(
            str(file), unet_config=unet.config, use_safetensors=True, return_lora_metadata=True
        )
        skeleton.load_lora_adapter(
            state,
            prefix="unet",
            network_alphas=alphas,
            metadata=None if alphas else _strength(metadata, state),
            adapter_name=_SLOT,
            low_cpu_mem_usage=True,
        )
    except (ValueError, LookupError, RuntimeError, TypeError, AttributeError) as error:
        raise _refused(_MISFIT) from error
    scales = {
        name: layer.scaling[_SLOT]
        for name, layer in skeleton.named_modules()
        if isinstance(layer, LoraLayer)
    }
    # The skeleton has no weights and keeps none: the halves are those that it was given.
    halves = convert_unet_state_dict_to_peft(state)
    wanted = {f"unet.{name}.lora_{half}.weight" for name in scales for half in "AB"}
    if halves.keys() != wanted or len(halves) != weights:
        raise _refused(_MISFIT)
    return {
        name: _Part(
            halves[f"unet.{name}.lora_A.weight"], halves[f"unet.{name}.lora_B.weight"], scale
        )
        for name, scale in scales.items()
    }


def _strength(
    metadata: Mapping[str, Any] | None, state: Mapping[str, Tensor]
) -> dict[str, Any] | None:
    """peft's configuration from the header, as far as it is numbers; ValueError for patterns."""
    if metadata is None:
        return None
    kept = {f"unet.{name}": metadata[f"unet.{name}"] for name in _STRENGTH if _has(metadata, name)}
    for pattern in (*kept.get("unet.rank_pattern", ()), *kept.get("unet.alpha_pattern", ())):
        if not _PLAIN_PATTERN.fullmatch(pattern):
            raise ValueError(f"{pattern!r} is no layer's name")
    layers = {name.removeprefix("unet.").split(".lora")[0] for name in state}
    return kept | {"unet.target_modules": sorted(layers)}


def _has(metadata: Mapping[str, Any], name: str) -> bool:
    return metadata.get(f"unet.{name}") is not None


def _shape(parts: Mapping[str, _Part]) -> LoraShape:
    """The highest rank and the most frequent scale, over the smaller set that holds the layers."""
    rank = max(len(part.down) for part in parts.values())
    if rank > HIGHEST_RANK:
        raise _refused(_RANK.format(rank=rank, highest=HIGHEST_RANK))
    scales = Counter(abs(part.scale) for part in parts.values() if part.scale)
    if not scales or not all(math.isfinite(scale) for scale in scales):
        raise _refused(_NO_STRENGTH)
    outside = [name for name in parts if not _within(name, EVERYTHING)]
    if outside:
        raise _refused(_OUTSIDE.format(layer=outside[0]))
    # Rounded, so that an alpha of 1 at rank 49 comes back as 1.
    alpha = float(f"{scales.most_common(1)[0][0] * rank:.9g}")
    is_attention = all(_within(name, ATTENTION) for name in parts)
    return LoraShape(rank, alpha, "attention" if is_attention else "all")


def _within(layer: str, suffixes: Sequence[str]) -> bool:
    """Whether peft would find the layer by one of these suffixes."""
    return any(f".{layer}".endswith(f".{suffix}") for suffix in suffixes)


def _skeleton(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """A UNet of the same shapes that takes no memory."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return UNet2DConditionModel.from_config(unet.config)


def _seed(names: Sequence[str]) -> int:
    """The same for the same layers, so that a job taken up again ends in the same weights."""
    return int.from_bytes(sha256("".join(names).encode()).digest()[:4], "big") >> 1


def _refused(sentence: str) -> Refused:
    return Refused(sentence, "lora_unusable")
