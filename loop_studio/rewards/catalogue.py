"""Which automatic rewards there are. Torch-free: the web process lists them from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loop_studio.errors import Invalid
from loop_studio.judgement import LEARNED
from loop_studio.rewards import weights
from loop_studio.rewards.availability import (
    STARTER_CLIP,
    Parameters,
    by_hand,
    clip_fault,
    function_fault,
    judge_fault,
    name_fault,
)
from loop_studio.settings import Settings

LONGEST = 4000  # characters of a parameter
CLIP_H = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
PICK_SCORE = "yuvalkirstain/PickScore_v1"
HPS = "xswu/HPSv2"
IMAGE_REWARD = "THUDM/ImageReward"
BERT = "google-bert/bert-base-uncased"
CLIP_L = "openai/clip-vit-large-patch14"
AESTHETIC = "christophschuhmann/improved-aesthetic-predictor"
BLIP_VQA = "Salesforce/blip-vqa-capfilt-large"
RUBRIC = (
    "How well does the picture show what the prompt asks for? Look at every object, its colour, "
    "shape and texture, how many there are, and where they are. 0 is nothing of it, 10 all of it."
)

_PIXELS = "loop_studio.rewards.pixels"
_NONE = "none"


@dataclass(frozen=True)
class Parameter:
    """One thing that a project may set about a reward."""

    name: str
    title: str
    default: str
    help: str
    long: bool = False  # a text of several lines


def _always(settings: Settings, values: Parameters) -> str:
    return ""


def _nothing_to_fetch(values: Parameters) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class RewardEntry:
    """One automatic reward as a person chooses it; `module` has the `build` that loads it."""

    name: str
    title: str
    description: str
    range: str
    default_sd: float  # declared within-group standard deviation, until enough were scored
    cost: str
    memory: str
    licence: str
    module: str
    parameters: tuple[Parameter, ...] = ()
    groupwise: bool = False  # a score depends on the other pictures of the group
    unavailable: Callable[[Settings, Parameters], str] = _always
    fetches: Callable[[Parameters], tuple[str, ...]] = _nothing_to_fetch  # ids from the hub

    def filled(self, values: Parameters) -> dict[str, str]:
        """A value for every parameter: those given, else the defaults."""
        return {one.name: values.get(one.name, one.default) for one in self.parameters}

    def fault(self, settings: Settings, values: Parameters) -> str:
        """A sentence why it cannot be used here with these values; empty when it can."""
        return self.unavailable(settings, self.filled(values))

    def note(self, settings: Settings, values: Parameters) -> str:
        """What its first use will fetch, as a sentence; empty where all is here."""
        missing = [
            one for one in self.fetches(self.filled(values)) if not weights.here(settings, one)
        ]
        if not missing:
            return ""
        folders = " and ".join(str(weights.own_folder(settings, one)) for one in missing)
        return (
            f"Its first use fetches {' and '.join(missing)} from the hub. Without a network, put "
            f"the files into {folders}."
        )

    def check(self, values: Parameters) -> None:
        """Raise Invalid for a parameter that it does not take, or that is too long."""
        known = [one.name for one in self.parameters]
        for name, value in values.items():
            if name not in known:
                listed = ", ".join(known) or "none"
                raise Invalid(f"{self.name} takes no {name[:80]!r}; its parameters are: {listed}.")
            if len(value) > LONGEST:
                raise Invalid(f"{name} of {self.name} must have at most {LONGEST} characters.")


def _pixel(name: str, title: str, description: str, range: str, default_sd: float) -> RewardEntry:
    cost = "under 0.01 s a picture"
    return RewardEntry(name, title, description, range, default_sd, cost, _NONE, _NONE, _PIXELS)


CATALOGUE: tuple[RewardEntry, ...] = (
    RewardEntry(
        name="clip_score",
        title="CLIP score",
        description="How well a picture fits its prompt, by the starter's own small CLIP model, "
        "or by any other CLIP or SigLIP",
        range="-10 to 10 by the starter's, -100 to 100 by others",
        default_sd=1.0,
        cost="under 0.01 s a picture by the starter's, 0.1 to 1 s by others on a CPU",
        memory="10 MB; up to 4 GB for others",
        licence="the starter's: Apache-2.0; others: their own",
        module="loop_studio.rewards.clip_score",
        parameters=(
            Parameter(
                "model",
                "Model",
                STARTER_CLIP,
                "starter, or the hub id or folder of a CLIP or SigLIP",
            ),
        ),
        unavailable=clip_fault,
        fetches=lambda values: () if values["model"] == STARTER_CLIP else (values["model"],),
    ),
    RewardEntry(
        name="pick_score",
        title="PickScore",
        description="What half a million choices between two pictures prefer",
        range="about 15 to 27",
        default_sd=0.6,
        cost="1 s a picture on a CPU, 0.02 s on a GPU",
        memory="4.0 GB",
        licence="MIT",
        module="loop_studio.rewards.pick_score",
        fetches=lambda values: (PICK_SCORE, CLIP_H),
    ),
    RewardEntry(
        name="hps_v2",
        title="HPS v2.1",
        description="What people preferred in 800,000 choices between generated pictures",
        range="about 0.1 to 0.4",
        default_sd=0.015,
        cost="1 s a picture on a CPU, 0.02 s on a GPU",
        memory="4.0 GB",
        licence="Apache-2.0",
        module="loop_studio.rewards.hps",
        unavailable=by_hand(HPS),
        fetches=lambda values: (CLIP_H,),
    ),
    RewardEntry(
        name="image_reward",
        title="ImageReward",
        description="What experts ranked higher: fit to the prompt, beauty, no harm",
        range="about -2.5 to 2",
        default_sd=0.5,
        cost="1 s a picture on a CPU, 0.02 s on a GPU",
        memory="1.8 GB",
        licence="Apache-2.0",
        module="loop_studio.rewards.image_reward",
        unavailable=by_hand(IMAGE_REWARD),
        fetches=lambda values: (BERT,),
    ),
    RewardEntry(
        name="aesthetic",
        title="Aesthetic score",
        description="How beautiful people find a picture, whatever its prompt (LAION, v2)",
        range="1 to 10",
        default_sd=0.3,
        cost="0.5 s a picture on a CPU, 0.01 s on a GPU",
        memory="1.2 GB",
        licence="Apache-2.0; CLIP ViT-L/14: MIT",
        module="loop_studio.rewards.aesthetic",
        unavailable=by_hand(AESTHETIC),
        fetches=lambda values: (CLIP_L,),
    ),
    RewardEntry(
        name="blip_vqa",
        title="Attribute binding",
        description="Whether each thing in the prompt is there with its own colour and shape, by "
        "asking a model that answers questions about pictures",
        range="0 to 1",
        default_sd=0.15,
        cost="1 s a picture and thing on a CPU, 0.02 s on a GPU",
        memory="1.5 GB",
        licence="BSD-3-Clause",
        module="loop_studio.rewards.blip_vqa",
        parameters=(
            Parameter("model", "Model", BLIP_VQA, "hub id or folder of a BLIP for questions"),
        ),
        unavailable=name_fault,
        fetches=lambda values: (values["model"],),
    ),
    RewardEntry(
        name="judge",
        title="Vision-language judge",
        description="What a model behind an OpenAI-compatible endpoint says by your rubric; the "
        "pictures and prompts are sent there",
        range="0 to 10",
        default_sd=1.5,
        cost="as the endpoint takes; up to 4 pictures at a time",
        memory=_NONE,
        licence="the endpoint's own",
        module="loop_studio.rewards.judge",
        parameters=(
            Parameter("url", "Endpoint", "", "base address, such as http://127.0.0.1:8000/v1"),
            Parameter("model", "Model", "", "the name by which the endpoint knows it"),
            Parameter("rubric", "Rubric", RUBRIC, "what earns a score from 0 to 10", long=True),
        ),
        unavailable=judge_fault,
    ),
    RewardEntry(
        name="function",
        title="Your own function",
        description="Scores by a Python function of yours, called with the pictures and prompts "
        "of one group at a time",
        range="any",
        default_sd=1.0,
        cost="your own",
        memory="your own",
        licence="your own",
        module="loop_studio.rewards.function",
        parameters=(
            Parameter("function", "Function", "", "module:function, on the worker's Python path"),
        ),
        unavailable=function_fault,
    ),
    _pixel(
        "jpeg_compressibility",
        "Compressibility",
        "How small a picture becomes as a JPEG: plain and flat pictures score high",
        "minus its kilobytes",
        0.3,
    ),
    _pixel(
        "jpeg_incompressibility",
        "Incompressibility",
        "How large a picture stays as a JPEG: busy pictures score high",
        "its kilobytes",
        0.3,
    ),
    _pixel(
        "colourfulness",
        "Colourfulness",
        "How far and how differently the colours of a picture lie from grey",
        "0 to about 200",
        10.0,
    ),
    _pixel("brightness", "Brightness", "How light a picture is", "0 to 1", 0.1),
    _pixel("contrast", "Contrast", "How far light and dark lie apart", "0 to 0.5", 0.05),
    _pixel("sharpness", "Sharpness", "How sharp the edges in a picture are", "0 and up", 400.0),
    RewardEntry(
        name="variety",
        title="Variety",
        description="How different a picture is from the others of its group: a weight here keeps "
        "pictures from all becoming the same",
        range="0 to 1",
        default_sd=0.05,
        cost="under 0.01 s a picture",
        memory=_NONE,
        licence=_NONE,
        module=_PIXELS,
        groupwise=True,
    ),
    RewardEntry(
        name=LEARNED,
        title="Learned from your ratings",
        description="The judgement that raters are expected to give, learned from the ratings of "
        "this project; it counts once it has proved itself on groups it had not seen",
        range="any; pictures of a group are about 1 apart",
        default_sd=1.0,
        cost="under 0.01 s a picture",
        memory="10 MB",
        licence=_NONE,
        module="",  # each project has its own: jobs.sources
    ),
)


def entry(name: str) -> RewardEntry | None:
    """The entry called `name`, or None."""
    return next((known for known in CATALOGUE if known.name == name), None)
