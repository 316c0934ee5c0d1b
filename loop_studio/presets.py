"""What a new project may start from: a model, settings that fit its machine, and why each is so.

Data alone. Memory is what `loop_studio/diffusion/memory.py` counts for these settings on layouts of
the real size (tests/diffusion/test_presets.py builds them); drivers and kernels want about a
gigabyte beside it. No real weights and no GPU have been run with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loop_studio.settings import STARTER


@dataclass(frozen=True)
class Choice:
    """One setting that differs from the studio's default, and why."""

    setting: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Preset:
    """A start for a project. `prompts` None: those that the studio gives to the starter."""

    name: str
    title: str
    description: str
    model: str
    memory_gb: int | None  # of the accelerator; None runs on a CPU
    estimate_gb: float | None  # counted, most that is there at once
    choices: tuple[Choice, ...] = ()
    prompts: tuple[str, ...] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as a project takes them."""
        return {choice.setting: choice.value for choice in self.choices}


EVERYDAY = (
    "a portrait of an old fisherman, soft window light",
    "a child laughing in the rain",
    "two friends having coffee at a small table",
    "a woman reading in a train at night",
    "a man repairing a bicycle in a workshop",
    "a dancer in mid-jump on an empty stage",
    "hands kneading bread dough on a wooden board",
    "a cat asleep on a pile of books",
    "a dog running along a beach at sunset",
    "three sparrows on a snowy branch",
    "a horse in morning fog",
    "a red fox in tall grass",
    "an octopus in clear blue water",
    "a butterfly on a purple thistle",
    "a mountain lake with a small wooden boat",
    "a lighthouse in a storm",
    "a narrow street in an old town after rain",
    "a desert road under a sky full of stars",
    "a forest path in autumn",
    "a field of sunflowers with a farmhouse behind it",
    "a waterfall seen through a cave opening",
    "a modern kitchen with a bowl of lemons",
    "a cosy reading corner with a green armchair",
    "a glass of iced tea with mint on a stone wall",
    "a slice of chocolate cake on a white plate",
    "a bowl of ramen with steam rising",
    "a vintage camera on a leather suitcase",
    "a blue bicycle leaning against a yellow wall",
    "a silver teapot and two porcelain cups",
    "four red apples in a wicker basket",
    "a small robot watering a plant",
    "an astronaut sitting on a park bench",
    "a castle on a floating island",
    "a dragon curled around a clock tower",
    "a paper boat in a puddle, seen from very near",
    "a city skyline at dusk, watercolour",
    "a sailing ship in a bottle, oil painting",
    "a fox in a business suit, pencil drawing",
    "a bowl of fruit, in the manner of a Dutch still life",
    "an owl, flat vector illustration on a plain ground",
)

_HALF = "Half the memory of float32; a GPU is quicker in it."
_CHECKPOINTING = (
    "Activations are computed again instead of kept: without it {gb} GB would be needed."
)
_LEARNING_RATE = "The starter's 0.002 is too bold for a large model."
_GUIDANCE = "Large models want more guidance than the starter's 3."
_AHEAD = "Groups take seconds, not tenths: fewer are kept ahead."

PRESETS = (
    Preset(
        name="starter",
        title="The starter",
        description="The small model of flat icons that ships with the studio. Runs on any "
        "machine, learns in minutes.",
        model=STARTER,
        memory_gb=None,
        estimate_gb=None,
    ),
    Preset(
        name="sd15",
        title="Stable Diffusion 1.5 on 8 GB",
        description="Pictures of 512 x 512. Downloaded from the hub once, about 3 GB.",
        model="stable-diffusion-v1-5/stable-diffusion-v1-5",
        memory_gb=8,
        estimate_gb=5.6,
        choices=(
            Choice("precision", "float16", _HALF),
            Choice("gradient_checkpointing", True, _CHECKPOINTING.format(gb=16.4)),
            Choice("micro_batch", 4, "Four denoising steps at a time fit; eight need 8.8 GB."),
            Choice("group_size", 4, "Four pictures fill a screen and are compared at a glance."),
            Choice("num_inference_steps", 20, "Enough for DDIM, and every step costs an update."),
            Choice("guidance_scale", 5.0, _GUIDANCE),
            Choice("learning_rate", 3e-4, _LEARNING_RATE),
            Choice("buffer_groups", 6, _AHEAD),
        ),
        prompts=EVERYDAY,
    ),
    Preset(
        name="sdxl",
        title="SDXL on 24 GB",
        description="Pictures of 1024 x 1024. Downloaded from the hub once, about 7 GB.",
        model="stabilityai/stable-diffusion-xl-base-1.0",
        memory_gb=24,
        estimate_gb=18.6,
        choices=(
            Choice("precision", "float16", _HALF),
            Choice("gradient_checkpointing", True, _CHECKPOINTING.format(gb=135.6)),
            Choice("micro_batch", 8, "Eight denoising steps at a time fit; sixteen need 29.8 GB."),
            Choice("lora_targets", "attention", "On all layers the same would need 25.4 GB."),
            Choice("group_size", 4, "Four pictures fill a screen and are compared at a glance."),
            Choice("num_inference_steps", 25, "A few more than SD 1.5, for the larger picture."),
            Choice("guidance_scale", 5.0, _GUIDANCE),
            Choice("learning_rate", 1e-4, _LEARNING_RATE),
            Choice("buffer_groups", 4, _AHEAD),
        ),
        prompts=EVERYDAY,
    ),
)
