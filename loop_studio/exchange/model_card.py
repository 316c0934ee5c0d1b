"""A version's model card: Hugging Face's layout, with what the studio measured."""

from __future__ import annotations

import json
from string import Template
from typing import Any

from huggingface_hub import ModelCardData

from loop_studio import model_folder
from loop_studio.exchange.names import slug
from loop_studio.settings import STARTER
from loop_studio.storage.card_facts import CardFacts

GRID = "before-after.png"
LORA = "pytorch_lora_weights.safetensors"
_SHOWN_PROMPTS = 40
_EXAMPLES = 3

_STARTER_NOTE = (
    "The base is the small model that ships with LOOP Studio, in its folder "
    "`loop_studio/starter/weights/diffusion`; put that folder's path in the code below."
)
_FOLDER_NOTE = "The base is a folder of the machine that trained it; put yours in the code below."

_LORA_CODE = Template("""\
import torch
from diffusers import DDIMScheduler, DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained($base)
pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
pipeline.load_lora_weights(".", weight_name="$file")
$window
image = pipeline(
    $prompt,
    num_inference_steps=$steps,
    guidance_scale=$guidance,
    eta=$eta,
    generator=torch.Generator().manual_seed(1),$callback
).images[0]
""")
_WINDOW = Template("""

def after_each_step(pipeline, step, timestep, tensors):
    if step + 1 == $acting:  # it was trained in these steps and acts in no others
        pipeline.disable_lora()
    return tensors


pipeline.enable_lora()\
""")
_MERGED_CODE = Template("""\
import torch
from diffusers import DDIMScheduler, DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained(".")
pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
image = pipeline(
    $prompt,
    num_inference_steps=$steps,
    guidance_scale=$guidance,
    eta=$eta,
    generator=torch.Generator().manual_seed(1),
).images[0]
""")


def lora_card(facts: CardFacts, acting: int | None, kohya: str, grid: list[str]) -> str:
    """README.md beside the LoRA files. `acting`: the first steps in which the LoRA acts, all if
    None; `kohya`: that file's name; `grid`: the prompts of the pictures, none without pictures.
    """
    steps = facts.config.num_inference_steps
    window = _WINDOW.substitute(acting=acting) if acting else ""
    code = _LORA_CODE.substitute(
        _sampling(facts),
        base=_base_call(facts),
        file=LORA,
        window=window,
        callback="\n    callback_on_step_end=after_each_step," if acting else "",
    )
    sections = [
        _front(facts, grid),
        _head(facts),
        f"**Where it acts.** {_where(acting, steps, merged=False)} No trigger word is needed.",
        _grid(facts, grid),
        _measured(facts),
        f"## Load it\n\n{_base_note(facts)}```py\n{code}```\n\n`{LORA}` is for diffusers; "
        f"`{kohya}` is the same LoRA for ComfyUI, A1111 and their kin, at weight 1.",
        _prompts(facts),
        _made(facts),
    ]
    return _joined(sections)


def merged_card(facts: CardFacts, acting: int | None) -> str:
    """README.md in the folder of a merged pipeline."""
    code = _MERGED_CODE.substitute(_sampling(facts))
    changes = _where(acting, facts.config.num_inference_steps, merged=True)
    sections = [
        _front(facts, [], merged=True),
        _head(facts),
        f"**What merging changes.** {changes}",
        _measured(facts),
        f"## Load it\n\n```py\n{code}```",
        _prompts(facts),
        _made(facts),
    ]
    return _joined(sections)


def _joined(sections: list[str]) -> str:
    return "\n\n".join(section for section in sections if section) + "\n"


def _front(facts: CardFacts, grid: list[str], merged: bool = False) -> str:
    examples = [
        {"text": text, **({"output": {"url": GRID}} if grid else {})}
        for text in (grid or facts.prompts)[:_EXAMPLES]
    ]
    data = ModelCardData(
        base_model=_base_name(facts),
        library_name="diffusers",
        pipeline_tag="text-to-image",
        tags=["text-to-image", *(() if merged else ("lora", "template:sd-lora")), "diffusers"],
        widget=examples or None,
        instance_prompt=None if merged else "",
    )
    return f"---\n{data.to_yaml()}\n---"


def _head(facts: CardFacts) -> str:
    base = facts.model if facts.model_revision is None else f"{facts.model}@{facts.model_revision}"
    learned = (
        f"It learned from {_count(facts.ratings, 'rating')} of {_count(facts.raters, 'rater')} in "
        f"{_count(facts.updates, 'update')}"
        if facts.updates
        else "It was imported, so the studio does not know what it learned from"
    )
    automatic = [source for source in facts.sources if source != "human"]
    also = f", and from the automatic reward {', '.join(automatic)}" if automatic else ""
    title = _inline(f"{facts.project}, version {facts.version}")
    name = f"{_inline(facts.name)}\n\n" if facts.name else ""
    return (
        f"# {title}\n\n{name}What people prefer, taught to `{_inline(base)}` by LOOP "
        f"(leave-one-out PPO, arXiv 2503.00897). {learned}{also}."
    )


def _where(acting: int | None, steps: int, merged: bool) -> str:
    if acting is None or acting >= steps:
        every = f"The LoRA acts in all {steps} denoising steps"
        return f"{every}, as in the studio." if merged else f"{every}."
    if merged:
        return (
            f"In the studio the LoRA acts in the first {acting} of {steps} denoising steps, where "
            f"it was trained; merged it acts in all {steps}. The pictures are those of the LoRA at "
            "every step, and differ from the studio's. For the studio's own pictures take the "
            "LoRA files and the code of their card."
        )
    return (
        f"The LoRA acts in the first {acting} of {steps} denoising steps, where it was trained; "
        "after them the base model goes on alone. The code below does the same. Tools that cannot "
        "stop a LoRA half-way apply it in every step, and their pictures differ."
    )


def _grid(facts: CardFacts, grid: list[str]) -> str:
    if not grid:
        return ""
    words = "The same prompts and seeds, never rated and never trained on."
    return f"## Before and after\n\n![Version 0 and version {facts.version}]({GRID})\n\n{words}"


def _measured(facts: CardFacts) -> str:
    rows = [
        f"| {name} | {_interval(facts.before.get(name))} | {_interval(facts.after[name])} |"
        for name in sorted(facts.after)
    ]
    table = (
        ["| reward | version 0 | this version |", "|---|---|---|", *rows]
        if rows
        else ["The probe pictures have not been measured by any automatic reward."]
    )
    return "\n".join(["## Measured", "", *table, "", _agreement(facts)])


def _agreement(facts: CardFacts) -> str:
    share = facts.agreement.best_picture
    if not share.total:
        return "Agreement: no group was judged by two raters."
    alphas = "".join(
        f" Krippendorff's alpha of {measure.name.replace('_', ' ')}: {measure.alpha:.2f} "
        f"({_count(measure.groups, 'group')})."
        for measure in facts.agreement.measures
        if measure.alpha is not None
    )
    return f"Agreement: two raters of one group name the same best picture in {share}.{alphas}"


def _prompts(facts: CardFacts) -> str:
    listed = [f"- {_inline(text)}" for text in facts.prompts[:_SHOWN_PROMPTS]]
    more = len(facts.prompts) - len(listed)
    if more > 0:
        listed.append(f"- and {more} more")
    return "\n".join(["## Prompts", "", *(listed or ["The project has none."])])


def _made(facts: CardFacts) -> str:
    config = facts.config
    return (
        "## Settings\n\n"
        f"Sampled with DDIM, {config.num_inference_steps} steps, guidance "
        f"{config.guidance_scale:g}, eta {config.eta:g}, {config.precision}. Trained steps: "
        f"{config.trained_steps}. LoRA rank {config.lora_rank}, alpha {config.lora_alpha:g}, "
        f"layers: {config.lora_targets}. Estimator {config.estimator}, learning rate "
        f"{config.learning_rate:g}, KL weight {config.kl_weight:g}."
    )


def _sampling(facts: CardFacts) -> dict[str, str]:
    config = facts.config
    return {
        "prompt": json.dumps(facts.prompts[0] if facts.prompts else "a picture"),
        "steps": str(config.num_inference_steps),
        "guidance": f"{config.guidance_scale:g}",
        "eta": f"{config.eta:g}",
    }


def _on_hub(facts: CardFacts) -> bool:
    return facts.model != STARTER and model_folder.kind(facts.model) == "hub"


def _base_name(facts: CardFacts) -> str:
    """What the front matter may say: a hub id without its revision, or a plain word."""
    name, _, _ = facts.model.partition("@")
    return name if _on_hub(facts) else slug(name.rstrip("/").rsplit("/", 1)[-1])


def _base_call(facts: CardFacts) -> str:
    if not _on_hub(facts):
        return json.dumps(facts.model)
    name, _, revision = facts.model.partition("@")
    commit = facts.model_revision or revision
    return json.dumps(name) + (f", revision={json.dumps(commit)}" if commit else "")


def _base_note(facts: CardFacts) -> str:
    if _on_hub(facts):
        return ""
    return (_STARTER_NOTE if facts.model == STARTER else _FOLDER_NOTE) + "\n\n"


def _interval(measured: dict[str, Any] | None) -> str:
    if measured is None:
        return "not measured"
    return (
        f"{measured['mean']:.3f} ({measured['low']:.3f} to {measured['high']:.3f}, "
        f"n = {measured['n']})"
    )


def _count(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"


def _inline(text: str) -> str:
    """Text that a person wrote, on one line and never markup."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|!" else letter for letter in line)
