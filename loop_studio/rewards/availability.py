"""Why a reward cannot be used here: one sentence that says what to do, or an empty one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loop_studio.rewards import weights
from loop_studio.settings import Settings
from loop_studio.starter.paths import SCORER_FOLDER

STARTER_CLIP = "starter"

Parameters = Mapping[str, str]


def clip_fault(settings: Settings, values: Parameters) -> str:
    """Of a CLIP or SigLIP by name, or the starter's."""
    model = values["model"]
    if model != STARTER_CLIP:
        return name_fault(settings, values)
    if (SCORER_FOLDER / "model.safetensors").is_file():
        return ""
    return "The scorer's weights are missing; train them with python -m loop_studio.starter.train."


def name_fault(settings: Settings, values: Parameters) -> str:
    """Of a model that may be any folder or hub id."""
    if weights.is_named(values["model"]):
        return ""
    return f"{values['model'][:80]!r} is no folder on this machine and no hub id (owner/name)."


def by_hand(model: str) -> Callable[[Settings, Parameters], str]:
    """For weights that are published as a pickle, which the studio never reads."""

    def fault(settings: Settings, values: Parameters) -> str:
        folder = weights.own_folder(settings, model)
        if (folder / "model.safetensors").is_file():
            return ""
        return (
            f"The weights of {model} are published in a form that is never read here. Convert "
            f"them once, as docs/rewards.md says, to {folder / 'model.safetensors'}."
        )

    return fault


def judge_fault(settings: Settings, values: Parameters) -> str:
    """Of an endpoint that pictures are sent to."""
    url = values["url"] or settings.judge_url
    if not url:
        return (
            "No endpoint is set. Give its address below, or start the studio with "
            "LOOP_STUDIO_JUDGE_URL."
        )
    if not url.startswith(("http://", "https://")):
        return f"{url[:80]!r} is no address; it must start with http:// or https://."
    if values["url"] and values["url"] != settings.judge_url and not settings.is_private:
        return (
            "Where others can reach the studio, pictures are sent only to the endpoint in "
            "LOOP_STUDIO_JUDGE_URL; ask who runs the studio to set it."
        )
    return "" if values["model"] else "Name the model that the endpoint shall use."


def function_fault(settings: Settings, values: Parameters) -> str:
    """Of a program that someone names: nobody from elsewhere may have any module imported."""
    function = values["function"]
    if not function:
        return "Name a function as module:function; docs/rewards.md shows one."
    module, _, name = function.partition(":")
    if not (all(part.isidentifier() for part in module.split(".")) and name.isidentifier()):
        return f"{function[:80]!r} is no module:function."
    if function in settings.reward_functions or settings.is_private:
        return ""
    return (
        "Where others can reach the studio, only functions named in LOOP_STUDIO_REWARD_FUNCTIONS "
        f"may run; start the studio with LOOP_STUDIO_REWARD_FUNCTIONS={function[:80]}"
    )
