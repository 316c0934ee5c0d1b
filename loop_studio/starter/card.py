"""The stage that measures everything and writes the model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from loop_studio.shares import Share
from loop_studio.starter import paths
from loop_studio.starter.evaluate import (
    ETA,
    GUIDANCE,
    SECTIONS,
    STEPS,
    Asked,
    Sampled,
    Section,
    measure_section,
    measure_tastes,
    sample_once,
)
from loop_studio.starter.measures import (
    agreement,
    eye_on_rendered,
    labelled_right,
    load_labelled,
    referee_on_rendered,
    scorer_on_groups,
    scorer_on_rendered,
)
from loop_studio.starter.prompts import EVALUATION_PROMPTS
from loop_studio.starter.scorer import Scorer

LABELLED = Path("tests") / "starter" / "labelled"  # pictures judged by eye, in the repository
RENDERED_SEED = 90_001  # of no training
TASTE_SEEDS_EACH = 2

ONE_OBJECT_GOALS = {"colour": 0.95, "shape": 0.85, "texture": 0.80}
REFEREE_GOALS = dict.fromkeys(("count", "shape", "colour", "texture", "relation"), 0.98)
SCORER_GOALS = dict.fromkeys(("colour", "shape", "texture", "count", "relation", "binding"), 0.75)

ROW_NAMES = {
    "all_right": "everything the prompt says",
    "any": "all judgements",
    "count": "number of objects",
}
TWO_OBJECT_NAMES = ROW_NAMES | {
    "shape": "both shapes and nothing else",
    "colour": "colours bound to their shapes",
}


# What is sampled: the sections in their order, then the prompts on which tastes are measured.
ASKED = (
    *(Asked(section.prompts, section.seeds_each, 10_000 * i) for i, section in enumerate(SECTIONS)),
    Asked(EVALUATION_PROMPTS, TASTE_SEEDS_EACH, 90_000),
)


def card_text(folder: Path, work: Path) -> str:
    """Measures the weights in `folder` and returns the card, Markdown.

    Sampling takes minutes: what is sampled is kept in `work`, named after the weights.
    """
    model = folder / paths.DIFFUSION_FOLDER.name
    groups = [
        sample_once(model, asked, work / f"sampled-{number}") for number, asked in enumerate(ASKED)
    ]
    parts = [
        _INTRODUCTION,
        f"Measured with {STEPS} DDIM steps, eta {ETA:g}, guidance {GUIDANCE:g}.",
    ]
    for section, sampled in zip(SECTIONS, groups, strict=False):
        names = TWO_OBJECT_NAMES if section.title == "Two objects" else ROW_NAMES
        goals = ONE_OBJECT_GOALS if section.title == "One object" else {}
        shares = measure_section(sampled, section.attributes)
        parts += [_heading(section), _table(shares, names, goals)]
    parts += ["## Tastes before any teaching", _TASTES, _table(measure_tastes(groups[-1]))]
    parts += ["## Scorer: right above wrong, within the groups above"]
    parts += [_table(_scorer_on(groups, folder / paths.SCORER_FOLDER.name), goals=SCORER_GOALS)]
    return "\n\n".join([*parts, *_reader_parts(folder)]) + "\n"


def _scorer_on(groups: list[Sampled], folder: Path) -> dict[str, Share]:
    pictures = np.concatenate([group.pictures for group in groups])
    return scorer_on_groups(
        Scorer(folder), pictures, [p for group in groups for p in group.prompts]
    )


def _reader_parts(folder: Path) -> list[str]:
    """What the card says of the readers, all on rendered scenes but for the labels."""
    twins = scorer_on_rendered(Scorer(folder / paths.SCORER_FOLDER.name), 600, RENDERED_SEED + 2)
    parts = ["## Scorer: right above wrong, rendered twins", _table(twins, goals=SCORER_GOALS)]
    seen = referee_on_rendered(2000, RENDERED_SEED)
    parts += ["## Referee on rendered scenes", _table(seen, goals=REFEREE_GOALS)]
    eye = {"texture": eye_on_rendered(2000, RENDERED_SEED + 1)}
    parts += ["## Rater's eye on rendered scenes", _table(eye)]
    if (LABELLED / "labels.json").is_file():
        labelled = load_labelled(LABELLED)
        parts += ["## Referee against labels made by eye", _LABELS]
        parts += [f"Labelled right: {labelled_right(labelled)}."]
        parts += [_table(agreement(labelled), goals={"any": 0.9})]
    return parts


def _heading(section: Section) -> str:
    each = section.seeds_each
    return f"## {section.title}\n\n{len(section.prompts)} held-out prompts, {each} seeds each."


def _table(
    rows: dict[str, Share],
    names: dict[str, str] = ROW_NAMES,
    goals: Mapping[str, float] = MappingProxyType({}),
) -> str:
    """A Markdown table; where there is a goal, it says whether the share reaches it."""
    lines = ["| What | Share (95 % interval) | Goal |", "|---|---|---|"]
    for key, share in rows.items():
        goal = goals.get(key)
        said = "" if goal is None else f"{100 * goal:.0f} %, {_reached(share, goal)}"
        lines.append(f"| {names.get(key, key)} | {share} | {said} |")
    return "\n".join(lines)


def _reached(share: Share, goal: float) -> str:
    return "reached" if share.value >= goal else "missed"


_INTRODUCTION = """# The starter: model card

A small latent diffusion model of 64x64 flat icons, trained from nothing on pictures drawn by code:
ten shapes, eight colours, three textures, one to four objects. It exists so that the studio works
at once, on any machine, without a download. It knows the words of its little world and no others.
Made by `python -m loop_studio.starter.train`; licence as the studio. `docs/starter.md` tells how.

The first three tables are on combinations that training never showed, judged by the referee, a
detector used for measurement only; intervals are Wilson's, 95 %. With two objects, colour and
relation count only where both shapes are right. `docs/starter.md` says how these weights came to
be and what they lack."""

_TASTES = """What captions never mention, as shares of pictures for the 60 evaluation prompts with
2 seeds each. These are what raters can teach."""

_LABELS = """200 generated pictures, judged by eye from contact sheets before the referee's answers
were looked at. One judgement is one attribute of one picture that the prompt says something of.
Where hardly any label says right, agreement is cheap."""
