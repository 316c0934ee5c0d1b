"""How well the readers read: on rendered scenes, against each other, against labels by eye."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from loop_studio.shares import Share
from loop_studio.starter.captions import TEXTURES, caption_text
from loop_studio.starter.eye import texture_shares
from loop_studio.starter.referee import Seen, Verdict, judge, read, verdict
from loop_studio.starter.render import render, render_scenes
from loop_studio.starter.scorer import Scorer
from loop_studio.starter.scorer_training import full_description, say, twins_of
from loop_studio.starter.world import Scene, sample_scene, scene_of

ATTRIBUTES = ("colour", "shape", "texture", "count", "relation")


def referee_on_rendered(count: int, seed: int) -> dict[str, Share]:
    """Share of rendered scenes, held-out combinations too, of which the referee reads all."""
    pictures, scenes = render_scenes(count, seed, held_out=True)
    seen = read(pictures)
    hits = {
        attribute: sum(_words(one, attribute) == _truth(scene, attribute)
                       for one, scene in zip(seen, scenes, strict=True))
        for attribute in ("count", "shape", "colour", "texture")
    }  # fmt: skip
    shares = {attribute: Share(value, count) for attribute, value in hits.items()}
    said = [scene for scene in scenes if scene.relation not in (None, "and")]
    right = [
        judge(one, caption_text(full_description(scene))).relation
        for one, scene in zip(seen, scenes, strict=True)
        if scene.relation not in (None, "and")
    ]
    return shares | {"relation": Share(sum(value is True for value in right), len(said))}


def _words(seen: list[Seen], attribute: str) -> list[str]:
    """What is read of all objects, in an order that does not depend on their scores."""
    if attribute == "count":
        return [str(len(seen))]
    return sorted(getattr(one, attribute) for one in seen)


def _truth(scene: Scene, attribute: str) -> list[str]:
    if attribute == "count":
        return [str(len(scene.things))]
    return sorted(getattr(thing, attribute) for thing in scene.things)


def eye_on_rendered(count: int, seed: int) -> Share:
    """Share of rendered scenes of one texture of which the eye reads the texture."""
    pictures, scenes = render_scenes(count, seed, held_out=True)
    alike = [i for i, one in enumerate(scenes) if len({t.texture for t in one.things}) == 1]
    read_as = texture_shares(pictures[alike]).argmax(1)
    truth = np.array([TEXTURES.index(scenes[i].things[0].texture) for i in alike])
    return Share(int((read_as == truth).sum()), len(alike))


def scorer_on_rendered(scorer: Scorer, scenes: int, seed: int) -> dict[str, Share]:
    """Share of pairs (scene, twin) in which the caption's own scene scores higher, by kind."""
    rights, wrongs, captions, kinds = [], [], [], []
    for i in range(scenes):
        rng = np.random.default_rng((seed, i))
        scene = sample_scene(rng, held_out=True)
        full = full_description(scene)
        said = say(full, scene.description)
        for kind, twin in twins_of(full, said, rng).items():
            rights.append(render(scene))
            wrongs.append(render(scene_of(twin, rng)))
            captions.append(caption_text(said))
            kinds.append(kind)
    higher = np.array(_scores(scorer, rights, captions)) > np.array(
        _scores(scorer, wrongs, captions)
    )
    return {
        kind: Share(int(higher[at].sum()), int(at.sum()))
        for kind in dict.fromkeys(kinds)
        for at in [np.array(kinds) == kind]
    }


def scorer_on_groups(
    scorer: Scorer, pictures: np.ndarray, prompts: Sequence[str]
) -> dict[str, Share]:
    """Share of pairs within a prompt, one right and one wrong by the referee, ordered right."""
    verdicts = verdict(pictures, list(prompts))
    images = [Image.fromarray(picture) for picture in pictures]
    scores = _scores(scorer, images, list(prompts))
    groups: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        groups.setdefault(prompt, []).append(i)
    shares = {}
    for attribute in (*ATTRIBUTES, "all_right"):
        pairs = [
            scores[one] > scores[other]
            for rows in groups.values()
            for one, other in product(rows, rows)
            if getattr(verdicts[one], attribute) is True
            and getattr(verdicts[other], attribute) is False
        ]
        shares[attribute] = Share(sum(pairs), len(pairs))
    return shares


def _scores(scorer: Scorer, images: list[Image.Image], prompts: list[str]) -> list[float]:
    return [
        score
        for start in range(0, len(images), 64)
        for score in scorer.score(images[start : start + 64], prompts[start : start + 64])
    ]


@dataclass(frozen=True)
class Labelled:
    """Pictures that a person judged by eye."""

    pictures: np.ndarray  # (N, 64, 64, 3) uint8
    prompts: list[str]
    labels: list[Verdict]


def load_labelled(folder: Path) -> Labelled:
    """`sheet.png`, 20 pictures to a row, and `labels.json`: prompt, seed, and what is wrong."""
    rows = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    sheet = np.asarray(Image.open(folder / "sheet.png").convert("RGB"))
    return Labelled(
        cut_sheet(sheet, len(rows)),
        [row["prompt"] for row in rows],
        [label_of(row["prompt"], row["wrong"]) for row in rows],
    )


def cut_sheet(sheet: np.ndarray, count: int) -> np.ndarray:
    """The first `count` 64x64 pictures of a sheet, row by row."""
    rows, columns = sheet.shape[0] // 64, sheet.shape[1] // 64
    cells = sheet.reshape(rows, 64, columns, 64, 3).swapaxes(1, 2)
    return cells.reshape(-1, 64, 64, 3)[:count]


def label_of(prompt: str, wrong: Sequence[str]) -> Verdict:
    """All that the prompt says is right, but for the attributes named."""
    said = judge([], prompt)
    values = {
        name: None if getattr(said, name) is None else name not in wrong for name in ATTRIBUTES
    }
    return Verdict(**values)


def labelled_right(labelled: Labelled) -> str:
    """How many labels say `right`, by attribute: where hardly any do, agreement is cheap."""
    counts = []
    for name in ATTRIBUTES:
        values = [value for one in labelled.labels if (value := getattr(one, name)) is not None]
        counts.append(f"{name} {sum(values)} of {len(values)}")
    return ", ".join(counts)


def agreement(labelled: Labelled) -> dict[str, Share]:
    """Share of the referee's judgements that the labels share, by attribute and `any`."""
    found = verdict(labelled.pictures, labelled.prompts)
    pairs = {
        name: [
            getattr(one, name) == getattr(label, name)
            for one, label in zip(found, labelled.labels, strict=True)
            if getattr(label, name) is not None
        ]
        for name in ATTRIBUTES
    }
    every = [value for values in pairs.values() for value in values]
    return {name: Share(sum(values), len(values)) for name, values in pairs.items()} | {
        "any": Share(sum(every), len(every))
    }
