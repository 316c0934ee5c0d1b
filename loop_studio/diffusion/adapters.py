"""LoRA adapters on one frozen UNet: `live` serves, `learner` learns, `archive` is any other.

None is ever merged into the base: a merged weight rounds differently, and a trajectory must
replay to the very log_prob it was stored with.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from loop_studio.errors import ModelUnusable
from loop_studio.rl.types import Weights

SLOTS = ("live", "learner", "archive")
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
EVERYTHING = (
    *ATTENTION,
    "ff.net.0.proj",
    "ff.net.2",
    "proj_in",
    "proj_out",
    "conv",
    "conv1",
    "conv2",
    "conv_shortcut",
    "conv_in",
    "conv_out",
)


@dataclass(frozen=True)
class LoraShape:
    """Rank, scale (alpha / rank multiplies) and which layers: `attention` or `all`."""

    rank: int
    alpha: float
    targets: str

    @property
    def modules(self) -> list[str]:
        """Suffixes of the layers that carry an adapter."""
        return list(ATTENTION if self.targets == "attention" else EVERYTHING)


State = dict[str, Tensor]
"""An adapter's tensors by layer, `conv_in.lora_A.weight`, float32 on the CPU."""


def fresh(like: Mapping[str, Tensor], seed: int) -> State:
    """An adapter that changes nothing (B = 0) and is ready to learn (A from `seed`).

    Of `like` only names and shapes are read.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {name: torch.zeros(tensor.shape) for name, tensor in like.items()}
    for name, tensor in state.items():
        if ".lora_A." in name:
            nn.init.kaiming_uniform_(tensor, a=math.sqrt(5), generator=generator)
    return state


def weighed(state: State, weight: float) -> State:
    """The adapter that adds `weight` times as much to each layer; 1 is the same, 0 nothing."""
    return {
        name: tensor * weight if weight != 1 and ".lora_B." in name else tensor
        for name, tensor in state.items()
    }


class Adapters:
    """The three adapters of one UNet, and which of them answers.

    The adapters are float32 whatever the base is: AdamW's steps would be rounded away in half.
    Whoever runs the UNet does so within `answering`, so that no other thread switches or refills
    one meanwhile.
    """

    def __init__(self, unet: UNet2DConditionModel, shape: LoraShape) -> None:
        """Freeze `unet` and give it three adapters that change nothing yet."""
        unet.requires_grad_(False)
        self.lock = RLock()
        self._unet = unet
        self._active: Weights | None = None
        self.shapes: dict[str, LoraShape] = {}
        for slot in SLOTS:
            self._add(slot, shape)
        self.use("live")

    def use(self, weights: Weights) -> None:
        """Make `weights` answer. The learner's parameters always take a gradient, no others do.

        peft's own switch would turn that flag off under the feet of another thread that is
        between its forward and its backward pass, which then drops the gradient in silence.
        """
        if weights == self._active:
            return
        for layer in self._layers:
            layer._disable_adapters = weights == "base"
            layer._active_adapter = [weights]
        self._active = weights

    @contextmanager
    def answering(self, weights: Weights) -> Iterator[None]:
        """Hold the lock while `weights` answer."""
        with self.lock:
            self.use(weights)
            yield

    def recomputed(self, block: nn.Module, *args: Any) -> Any:
        """Run a block of the UNet and keep its inputs alone: the backward pass runs it again.

        It runs under the same weights both times. By then a rollout may have switched to others,
        or be about to on another thread, so each run takes the lock and makes them answer.
        """
        weights = self._active
        assert weights is not None

        def run(*args: Any) -> Any:
            with self.answering(weights):
                return block(*args)

        return checkpoint(run, *args, use_reentrant=False, preserve_rng_state=False)

    def parameters(self, slot: str) -> dict[str, nn.Parameter]:
        """The parameters of one adapter by layer."""
        return self._parameters[slot]

    def state(self, slot: str) -> State:
        """A copy of one adapter on the CPU."""
        return {
            name: parameter.detach().to("cpu", torch.float32, copy=True)
            for name, parameter in self.parameters(slot).items()
        }

    def load(self, slot: str, state: State, shape: LoraShape) -> None:
        """Fill one adapter; raises ModelUnusable when the tensors belong to another model."""
        with self.lock, torch.no_grad():
            self._reshape(slot, shape)
            parameters = self.parameters(slot)
            if parameters.keys() != state.keys() or any(
                parameters[name].shape != tensor.shape for name, tensor in state.items()
            ):
                raise ModelUnusable(
                    "This version's LoRA does not fit the project's model. Make a version that "
                    "belongs to this model live, or start a new project."
                )
            for name, tensor in state.items():
                parameters[name].copy_(tensor)

    def copy(self, source: str, target: str) -> None:
        """Fill `target` from `source`, exactly."""
        self.load(target, self.state(source), self.shapes[source])

    def reset(self, slot: str, shape: LoraShape, seed: int) -> None:
        """Fill one adapter with what `fresh` makes from `seed`."""
        with self.lock, torch.no_grad():
            self._reshape(slot, shape)
            for name, tensor in fresh(self.parameters(slot), seed).items():
                self.parameters(slot)[name].copy_(tensor)

    def _reshape(self, slot: str, shape: LoraShape) -> None:
        if self.shapes[slot] != shape:
            self.use("base")  # or peft warns when it deletes the one that answers
            self._unet.delete_adapters(slot)
            self._add(slot, shape)

    def _add(self, slot: str, shape: LoraShape) -> None:
        config = LoraConfig(
            r=shape.rank,
            lora_alpha=shape.alpha,
            target_modules=shape.modules,
            lora_dropout=0.0,
        )
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # peft draws from the global generator, and warns of the several adapters we want.
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")
            self._unet.add_adapter(config, adapter_name=slot)
        self._layers = [m for m in self._unet.modules() if isinstance(m, BaseTunerLayer)]
        self.shapes[slot] = shape
        self._active = None
        self._parameters = {slot: self._named(slot) for slot in self.shapes}
        for name, parameters in self._parameters.items():
            for parameter in parameters.values():
                parameter.data = parameter.data.float()
                parameter.requires_grad_(name == "learner")

    def _named(self, slot: str) -> dict[str, nn.Parameter]:
        mark = f".{slot}."
        return {
            name.replace(mark, "."): parameter
            for name, parameter in self._unet.named_parameters()
            if mark in name and ".lora_" in name
        }
