"""How much memory a model will need under a project's settings, told before it is loaded.

Weights are counted from the headers of the folder's files, activations by a walk over its UNet's
layout. Of one picture and step, in elements times the tokens (h w) of its level, a backward pass
needs, with LoRA on all layers (on attention alone in brackets):

    resnet cin -> cout   3 (2) cin + 3 (2) cout   what norm, activation and convolution were given
    transformer of c     3 c, and per layer 28 (23) c: 10 of both attentions, 18 (13) of the
                         feed-forward with its gate, four and eight times as wide
    down, up             c, 4 c                   what its convolution was given
    end                  3 (2) c

In half precision every LoRA keeps a float32 copy of its input beside that. With gradient
checkpointing a resnet and a layer keep only what they were given, and one of them at a time is
there whole, while it is run again. A pass without gradients holds the skip connections and the
widest moment of one block. Sources: diffusers' resnet.py, attention.py and unet_2d_blocks.py, and
peft's lora/layer.py; tests/diffusion/test_memory.py compares with what models really hold.
Attention is taken to be fused, as PyTorch's own is, and texts to be short beside pictures. What
drivers, kernels and allocators want for themselves comes on top and is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import psutil
import torch

from loop_studio import model_folder
from loop_studio.config import ProjectConfig
from loop_studio.diffusion.adapters import SLOTS, LoraShape
from loop_studio.diffusion.policy import decoded_at_once
from loop_studio.diffusion.recipe import groups_per_pass, shape_of
from loop_studio.errors import ModelUnusable

FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Memory:
    """Bytes. Rollouts and updates take turns; weights and adapters are always there."""

    weights: int
    adapters: int  # of all three, the learner's gradient and AdamW's two moments
    rollout: int  # of a pass of a rollout, or of decoding its pictures
    update: int  # of a micro-batch, forward and backward

    @property
    def total(self) -> int:
        """The most that is there at once."""
        return self.weights + self.adapters + max(self.rollout, self.update)


@dataclass(frozen=True)
class _Block:
    """A piece of a UNet, in elements per picture."""

    whole: int = 0  # what a backward pass needs
    given: int | None = None  # what it keeps of it with checkpointing; None: all
    copied: int = 0  # inputs of its LoRAs
    widest: int = 0  # held at once within a pass without gradients
    widened: int = 0  # of these, by a LoRA in float32
    skip: int = 0  # held until the way up needs it


@dataclass(frozen=True)
class _Level:
    """One size of a UNet: its way down and its way up."""

    width: int  # channels
    tokens: int  # h w
    resnets: int  # one more on the way up
    layers: int  # of a transformer
    layers_down: int  # 0 without cross-attention
    layers_up: int


def estimate(folder: Path, config: ProjectConfig) -> Memory:
    """What a whole model folder (`model_folder.fault` is None) will need under these settings."""
    unet, vae = (_config(folder, part) for part in ("unet", "vae"))
    size = 4 if config.precision == "float32" else 2
    upcast = model_folder.is_xl(folder) and bool(vae.get("force_upcast", True))
    vae_size = FLOAT32 if upcast else size
    counts = {part: _elements(folder, part) for part in model_folder.parts(folder)}
    guided = 2 if config.guidance_scale > 1 else 1
    together = groups_per_pass(config) * config.group_size
    blocks = list(_blocks(unet, shape_of(config)))
    pictures = min(together, decoded_at_once(*_grid(unet)))
    return Memory(
        weights=sum(counts.values()) * size + counts["vae"] * (vae_size - size),
        adapters=_adapter(folder, shape_of(config)) * FLOAT32 * (len(SLOTS) + 1 + 2),
        rollout=max(
            guided * together * _passing(blocks, size), pictures * _decoding(unet, vae, vae_size)
        ),
        update=guided
        * config.micro_batch
        * _learning(blocks, size, checkpointing=config.gradient_checkpointing),
    )


def check_fits(folder: Path, config: ProjectConfig, device: torch.device) -> Memory:
    """What a whole model folder will need; raises ModelUnusable where `device` has too little.

    The sentence says which settings would help. An accelerator tells when its memory runs out, and
    passes are then halved: there the smallest passes must fit. A CPU's system swaps, or ends the
    worker: there the settings as they are.
    """
    least = config if device.type == "cpu" else config.merged({"micro_batch": 1})
    need, free = estimate(folder, least), free_bytes(device)
    if need.total <= free:
        return need
    raise ModelUnusable(
        f"{folder} would need about {_gigabytes(need.total)} of memory with these settings, and "
        f"{_gigabytes(free)} are free. {_advice(folder, least, device, free)}"
    )


def free_bytes(device: torch.device) -> int:
    """What a model may take, with what this process holds of the model before it."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    return int(psutil.virtual_memory().available + psutil.Process().memory_info().rss)


def _advice(folder: Path, config: ProjectConfig, device: torch.device, free: int) -> str:
    """The settings that would make it fit, those that change least first."""
    helpful: dict[str, bool | int | str] = {}
    best = estimate(folder, config).total
    for name, value in (
        ("gradient_checkpointing", True),
        ("micro_batch", 1),
        ("precision", "float32" if device.type == "cpu" else "float16"),
        ("group_size", 2),
    ):
        total = estimate(folder, config.merged({**helpful, name: value})).total
        if total < best:
            best = total
            helpful[name] = value
        if best <= free:
            changes = [f"{name} to {str(value).lower()}" for name, value in helpful.items()]
            return f"Set {' and '.join(changes)}."
    return "No setting would make it fit: free memory, or choose a smaller model."


def _passing(blocks: list[_Block], size: int) -> int:
    """Bytes per picture of a pass without gradients."""
    wider = FLOAT32 if size < FLOAT32 else size
    widest = max((b.widest - b.widened) * size + b.widened * wider for b in blocks)
    return sum(b.skip for b in blocks) * size + widest


def _learning(blocks: list[_Block], size: int, *, checkpointing: bool) -> int:
    """Bytes per picture of a forward and backward pass."""
    copy = FLOAT32 if size < FLOAT32 else 0

    def whole(block: _Block) -> int:
        return block.whole * size + block.copied * copy

    if not checkpointing:
        return sum(map(whole, blocks))
    kept = sum(whole(b) if b.given is None else b.given * size for b in blocks)
    return kept + max(whole(b) for b in blocks if b.given is not None)


def _blocks(unet: Mapping[str, Any], lora: LoraShape) -> Iterator[_Block]:
    """The UNet's blocks in order, as diffusers' UNet2DConditionModel builds them."""
    levels = _levels(unet)
    top, bottom = levels[0], levels[-1]
    c, skips = top.width, [top.width]
    yield _Block(skip=c * top.tokens)
    for level in levels:
        for _ in range(level.resnets):
            yield _resnet(level.tokens, c, level.width, lora)
            c = level.width
            yield from _transformer(level.tokens, c, level.layers_down, lora)
            skips.append(c)
            yield _Block(skip=c * level.tokens)
        if level is not bottom:
            skips.append(c)
            yield _resampling(c * level.tokens, lora, skip=c * level.tokens // 4)
    yield _resnet(bottom.tokens, c, c, lora)
    yield from _transformer(bottom.tokens, c, bottom.layers, lora)
    yield _resnet(bottom.tokens, c, c, lora)
    for level in reversed(levels):
        for _ in range(level.resnets + 1):
            yield _resnet(level.tokens, c + skips.pop(), level.width, lora)
            c = level.width
            yield from _transformer(level.tokens, c, level.layers_up, lora)
        if level is not top:
            yield _resampling(4 * c * level.tokens, lora)
    yield _Block(whole=(3 if lora.targets == "all" else 2) * c * top.tokens)


def _levels(unet: Mapping[str, Any]) -> list[_Level]:
    widths = unet["block_out_channels"]
    resnets = _each(unet.get("layers_per_block", 2), len(widths))
    layers = _each(unet.get("transformer_layers_per_block", 1), len(widths))
    ways = zip(unet["down_block_types"], reversed(unet["up_block_types"]), strict=True)
    return [
        _Level(
            width,
            prod(_grid(unet)) // 4**depth,
            resnets[depth],
            layers[depth],
            layers_down=layers[depth] if "CrossAttn" in down else 0,
            layers_up=layers[depth] if "CrossAttn" in up else 0,
        )
        for depth, (width, (down, up)) in enumerate(zip(widths, ways, strict=True))
    ]


def _resampling(given: int, lora: LoraShape, skip: int = 0) -> _Block:
    """The convolution after a level, on the way down or up; `given` elements."""
    if lora.targets == "attention":
        return _Block(skip=skip)
    return _Block(whole=given, copied=given, skip=skip)


def _resnet(tokens: int, before: int, after: int, lora: LoraShape) -> _Block:
    if lora.targets == "attention":
        return _Block(
            whole=2 * (before + after) * tokens,
            given=before * tokens,
            widest=(3 * before + after) * tokens,
        )
    shortcut = before if before != after else 0
    return _Block(
        whole=(3 * (before + after) + 2 * lora.rank) * tokens,
        given=before * tokens,
        copied=(before + after + shortcut) * tokens,
        widest=(3 * before + 3 * after) * tokens,
        widened=2 * after * tokens,
    )


def _transformer(tokens: int, c: int, layers: int, lora: LoraShape) -> Iterator[_Block]:
    if layers == 0:
        return
    every = lora.targets == "all"
    yield _Block(whole=3 * c * tokens, copied=2 * c * tokens * every)
    for _ in range(layers):
        yield _Block(
            whole=((28 if every else 23) * c + (10 if every else 8) * lora.rank) * tokens,
            given=c * tokens,
            copied=(11 if every else 6) * c * tokens,
            widest=(27 if every else 19) * c * tokens,
            widened=16 * c * tokens * every,
        )


def _decoding(unet: Mapping[str, Any], vae: Mapping[str, Any], size: int) -> int:
    """Bytes per picture of decoding: the first resnet at full size, and three float32 pictures."""
    widths = vae["block_out_channels"]
    pixels = prod(_grid(unet)) * 4 ** (len(widths) - 1)
    return int(pixels * ((3 * widths[min(1, len(widths) - 1)] + widths[0]) * size + 9 * FLOAT32))


def _adapter(folder: Path, lora: LoraShape) -> int:
    """Parameters of one adapter: A is rank x inputs (x kernel), B outputs x rank."""
    total = 0
    for name, shape in model_folder.shapes(folder, "unet").items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight" and any(f".{layer}".endswith(f".{end}") for end in lora.modules):
            total += lora.rank * (prod(shape[1:]) + shape[0])
    return total


def _elements(folder: Path, part: str) -> int:
    return sum(prod(shape) for shape in model_folder.shapes(folder, part).values())


def _config(folder: Path, part: str) -> dict[str, Any]:
    return model_folder.read_json(folder / part / "config.json") or {}


def _grid(unet: Mapping[str, Any]) -> tuple[int, int]:
    size = unet["sample_size"]
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _each(value: int | list[int], count: int) -> list[int]:
    return [value] * count if isinstance(value, int) else list(value)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
