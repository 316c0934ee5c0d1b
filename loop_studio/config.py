"""A project's settings: one frozen dataclass, with the prose a person reads beside each field.

The settings page and its refusals are generated from here; storage keeps every revision as JSON.
Measured reasons for the defaults of the engine's fields: docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from loop_studio.content import ContentRule
from loop_studio.errors import Invalid
from loop_studio.estimators import SINGLE_STEP, Estimator
from loop_studio.guard import LIMITS, GuardLimits
from loop_studio.setting_fields import SettingField, read_field
from loop_studio.timetable import is_quiet, time_zones

TrainedSteps = Literal["all", "high_noise", "random"]
StepWeights = Literal["alike", "noise"]
GuidanceGradient = Literal["both", "conditional"]
LoraTargets = Literal["attention", "all"]
Mode = Literal["best", "stars", "good", "rank"]
Precision = Literal["float32", "float16", "bfloat16"]
Promotion = Literal["always", "pairs"]

HIGHEST_RANK = 256


def _known_zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError(name)
    return name


TimeOfDay = Annotated[
    str,
    Field(
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        json_schema_extra={"range": "a time from 00:00 to 23:59"},
    ),
]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ProjectConfig(GuardLimits, ContentRule):
    """Everything about a project that changes what is generated, rated or learned.

    `SECTIONS` below names the groups in which the settings page shows the fields.
    """

    # Generation: a change of any of these retires the groups not yet judged.
    group_size: Annotated[int, Field(ge=2, le=16, description="images per group (k)")] = 4
    num_inference_steps: Annotated[
        int, Field(ge=2, le=200, description="denoising steps per image")
    ] = 20
    guidance_scale: Annotated[
        float, Field(ge=1.0, le=30.0, description="classifier-free guidance; 1 turns it off")
    ] = 3.0
    eta: Annotated[
        float,
        Field(gt=0.0, le=1.0, description="DDIM noise; 0 would leave nothing to learn from"),
    ] = 1.0
    precision: Annotated[
        Precision, Field(description="number format of the base model; float32 on a CPU")
    ] = "float32"

    # Rating
    default_mode: Annotated[Mode, Field(description="gesture a rater starts with")] = "best"
    overlap: Annotated[int, Field(ge=1, le=100, description="raters asked per group")] = 1
    buffer_groups: Annotated[
        int, Field(ge=1, le=1000, description="groups kept ready ahead of the raters")
    ] = 12
    repeat_share: Annotated[
        float,
        Field(
            ge=0.0,
            le=0.5,
            description="share of groups that a rater has judged before, to see how steady "
            "judgements are; they teach nothing",
        ),
    ] = 0.05
    pair_share: Annotated[
        float,
        Field(
            ge=0.0,
            le=0.5,
            description="share of blind pairs: one picture by the newest version, one by the "
            "version it came from; they teach nothing and give a win rate",
        ),
    ] = 0.0

    # Updates
    min_groups: Annotated[
        int, Field(ge=1, le=1000, description="fewest usable groups for Fine-tune now")
    ] = 4
    auto_update_groups: Annotated[
        Annotated[int, Field(ge=1, le=1000)] | None,
        Field(description="start an update by itself at this many usable groups; empty is off"),
    ] = 16
    max_groups_per_update: Annotated[
        int, Field(ge=1, le=1000, description="most groups that one update takes")
    ] = 32
    promotion: Annotated[
        Promotion,
        Field(
            description="when a new version goes live: always, or once blind pairs prefer it to "
            "the version it came from"
        ),
    ] = "always"
    time_zone: Annotated[
        str,
        AfterValidator(_known_zone),
        Field(
            description="time zone of schedules and quiet hours",
            json_schema_extra={"range": "a time zone such as Europe/Berlin"},
        ),
    ] = "UTC"
    quiet_from: Annotated[
        TimeOfDay | None,
        Field(
            description="quiet hours begin: no update starts by itself and no groups are made "
            "ahead; what is asked for by hand is done"
        ),
    ] = None
    quiet_until: Annotated[TimeOfDay | None, Field(description="quiet hours end")] = None

    # Learning
    estimator: Annotated[
        Estimator,
        Field(
            description="how rewards become advantages; rloo and both reinforce take a single "
            "optimizer step whatever passes and minibatches say"
        ),
    ] = "loop"
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0, description="AdamW step size")] = 2e-3
    passes: Annotated[int, Field(ge=1, le=16, description="passes over the groups")] = 2
    minibatches: Annotated[
        int, Field(ge=1, le=64, description="optimizer steps per pass (whole groups each)")
    ] = 2
    clip_nats: Annotated[
        float, Field(gt=0.0, le=100.0, description="PPO clip per denoising step, true nats")
    ] = 1.6
    kl_weight: Annotated[
        float,
        Field(ge=0.0, le=100.0, description="weight of the KL to the base model: the brake"),
    ] = 0.015
    kl_budget: Annotated[
        float,
        Field(
            gt=0.0,
            le=1000.0,
            description="nats per step from the base model beyond which the brake grows",
        ),
    ] = 1.0
    trained_steps: Annotated[
        TrainedSteps,
        Field(
            description="denoising steps that are trained: all, a share drawn per image, or the "
            "noisiest, and then the LoRA acts in these alone"
        ),
    ] = "high_noise"
    trained_fraction: Annotated[
        float, Field(gt=0.0, le=1.0, description="share of the steps that is trained")
    ] = 0.6
    step_weights: Annotated[
        StepWeights,
        Field(
            description="what trained steps count: all alike, or each by its noise, so that early "
            "steps, which decide most, are not drowned by late ones"
        ),
    ] = "noise"
    guidance_gradient: Annotated[
        GuidanceGradient,
        Field(
            description="branches of guidance that are learned through; conditional alone is a "
            "biased gradient that costs a third less"
        ),
    ] = "both"
    max_grad_norm: Annotated[
        float, Field(gt=0.0, le=1000.0, description="gradient norm is clipped here")
    ] = 1.0
    micro_batch: Annotated[
        int, Field(ge=1, le=1024, description="denoising steps per forward and backward")
    ] = 16
    gradient_checkpointing: Annotated[
        bool,
        Field(
            strict=True,
            description="compute activations again in the backward pass instead of keeping them: "
            "less memory, more time, the same result",
        ),
    ] = False
    lora_rank: Annotated[
        int, Field(ge=1, le=HIGHEST_RANK, description="rank of the LoRA adapter")
    ] = 8
    lora_alpha: Annotated[float, Field(gt=0.0, le=512.0, description="scale of the adapter")] = 8.0
    lora_targets: Annotated[
        LoraTargets,
        Field(description="layers that learn: attention, or also convolutions and feed-forward"),
    ] = "all"

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> ProjectConfig:
        """Validated settings from JSON values; fields left out take their defaults.

        Raises Invalid with one sentence that names the first wrong field and its range.
        """
        unknown = sorted(set(values) - set(_PROPERTIES))
        if unknown:
            raise Invalid(f"There is no setting called {unknown[0]!r}; see the settings page.")
        try:
            config = _ADAPTER.validate_python(dict(values))
        except ValidationError as error:
            raise Invalid(_sentence(error)) from None
        if config.passes * config.minibatches < 2 and config.estimator not in SINGLE_STEP:
            raise Invalid(
                f"passes x minibatches must be at least 2 for {config.estimator}: with a single "
                "optimizer step LOOP is RLOO; for that, set estimator to rloo."
            )
        if config.promotion == "pairs" and not config.pair_share:
            raise Invalid(
                "promotion by pairs needs pairs: set pair_share above 0, for example to 0.2."
            )
        if (config.quiet_from is None) != (config.quiet_until is None):
            raise Invalid("quiet_from and quiet_until go together: set both, or leave both empty.")
        return config

    @classmethod
    def from_stored(cls, values: Mapping[str, object]) -> ProjectConfig:
        """Settings as an earlier release stored them: those that are gone are left out."""
        return cls.from_values({name: values[name] for name in values if name in _PROPERTIES})

    def merged(self, changes: Mapping[str, object]) -> ProjectConfig:
        """These settings with `changes` laid over them, validated as a whole."""
        return self.from_values({**self.values(), **changes})

    def values(self) -> dict[str, Any]:
        """JSON values of every field."""
        return asdict(self)

    def is_quiet(self, moment: datetime) -> bool:
        """Whether nothing starts by itself at that moment."""
        return is_quiet(moment, self.quiet_from, self.quiet_until, self.time_zone)

    def generation(self) -> dict[str, Any]:
        """The values that a group was sampled with: a change retires unjudged groups."""
        return {name: getattr(self, name) for name in SECTIONS["Generation"]}


SECTIONS: dict[str, tuple[str, ...]] = {
    "Generation": ("group_size", "num_inference_steps", "guidance_scale", "eta", "precision"),
    "Rating": ("default_mode", "overlap", "buffer_groups", "repeat_share", "pair_share"),
    "Updates": ("min_groups", "auto_update_groups", "max_groups_per_update", "promotion"),
    "Times": ("time_zone", "quiet_from", "quiet_until"),
    "Learning": (
        "estimator",
        "learning_rate",
        "passes",
        "minibatches",
        "clip_nats",
        "kl_weight",
        "kl_budget",
        "trained_steps",
        "trained_fraction",
        "step_weights",
        "guidance_gradient",
        "max_grad_norm",
        "micro_batch",
        "gradient_checkpointing",
        "lora_rank",
        "lora_alpha",
        "lora_targets",
    ),
    "Guard": LIMITS,
    "Content": ("content",),
}

_ADAPTER = TypeAdapter(ProjectConfig)
_PROPERTIES: dict[str, dict[str, Any]] = _ADAPTER.json_schema()["properties"]


def setting_field(name: str) -> SettingField:
    """The form field of one setting, read from the dataclass above."""
    return read_field(name, _PROPERTIES[name])


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    return f"{name} must be {setting_field(name).range}; it was {first['input']!r}."
