"""Trains the scorer: every batch holds scenes beside twins of which one thing was changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import ImageFilter
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, CLIPVisionConfig

from loop_studio.starter.captions import (
    COLOURS,
    RELATIONS,
    SHAPES,
    TEXTURES,
    Description,
    Phrase,
    caption_text,
)
from loop_studio.starter.denoiser import text_config
from loop_studio.starter.render import render
from loop_studio.starter.scorer import pixels_of
from loop_studio.starter.seeing import Seer, seeing_loss, shown, told, told_by
from loop_studio.starter.training import StepLoss
from loop_studio.starter.world import Scene, sample_scene, scene_of

SEED = 21
PAIRS = 24  # scenes with a twin, per step
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True)
class ScorerWidths:
    """Sizes of the scorer; tests use a miniature."""

    hidden: int = 128
    vision_layers: int = 4
    text_layers: int = 3
    patch: int = 8  # pixels


def build_scorer(tokenizer: CLIPTokenizer, widths: ScorerWidths) -> CLIPModel:
    """An untrained CLIP for 64x64 pictures and the world's captions."""
    text = text_config(tokenizer, widths.hidden, widths.text_layers)
    vision = CLIPVisionConfig(
        image_size=64,
        patch_size=widths.patch,
        num_hidden_layers=widths.vision_layers,
        hidden_size=widths.hidden,
        intermediate_size=4 * widths.hidden,
        num_attention_heads=4,
        projection_dim=widths.hidden,
    )
    return CLIPModel(
        CLIPConfig(
            text_config=text.to_dict(),
            vision_config=vision.to_dict(),
            projection_dim=widths.hidden,
        )
    )


def full_description(scene: Scene) -> Description:
    """All that could be said of a scene."""
    first = scene.things[0]
    if scene.relation is None:
        phrase = Phrase(first.shape, first.colour, first.texture, len(scene.things))
        return Description((phrase,))
    phrases = tuple(Phrase(thing.shape, thing.colour, thing.texture) for thing in scene.things)
    return Description(phrases, scene.relation)


# How often each kind of twin is drawn where it is possible; what is hard to learn more often.
TWIN_WEIGHTS = {
    "shape": 2.0,
    "colour": 1.0,
    "texture": 2.0,
    "count": 2.0,
    "binding": 2.0,
    "relation": 3.0,
}


def twins_of(
    description: Description, said: Description, rng: np.random.Generator
) -> dict[str, Description]:
    """Full descriptions that differ from `description` in one thing that `said` says, by kind."""
    twins = {}
    i = int(rng.integers(len(said.phrases)))
    twins["shape"] = _other(description, i, "shape", SHAPES, rng)
    if said.phrases[i].colour is not None:
        twins["colour"] = _other(description, i, "colour", COLOURS, rng)
    if said.phrases[i].texture is not None:
        twins["texture"] = _other(description, i, "texture", TEXTURES, rng)
    if said.relation is None:
        twins["count"] = _recount(description, rng)
    elif _binding_matters(description, said):
        twins["binding"] = _swap_colours(description)
    if said.relation in OPPOSITE:
        if rng.random() < 0.4:
            twins["relation"] = replace(description, phrases=description.phrases[::-1])
        else:
            twins["relation"] = replace(description, relation=_opposite(description, rng))
    return twins


def twin_of(description: Description, said: Description, rng: np.random.Generator) -> Description:
    """One of `twins_of`, drawn by `TWIN_WEIGHTS`."""
    twins = twins_of(description, said, rng)
    weights = np.array([TWIN_WEIGHTS[kind] for kind in twins])
    return list(twins.values())[int(rng.choice(len(weights), p=weights / weights.sum()))]


def _binding_matters(description: Description, said: Description) -> bool:
    first, second = description.phrases
    colours_said = all(phrase.colour is not None for phrase in said.phrases)
    return colours_said and first.colour != second.colour and first.shape != second.shape


def _other(
    description: Description,
    i: int,
    attribute: str,
    words: tuple[str, ...],
    rng: np.random.Generator,
) -> Description:
    phrases = list(description.phrases)
    others = [word for word in words if word != getattr(phrases[i], attribute)]
    changed = {**vars(phrases[i]), attribute: str(rng.choice(others))}
    phrases[i] = Phrase(**changed)
    return replace(description, phrases=tuple(phrases))


def _recount(description: Description, rng: np.random.Generator) -> Description:
    phrase = description.phrases[0]
    counts = [count for count in (1, 2, 3, 4) if count != phrase.count]
    return Description((replace(phrase, count=int(rng.choice(counts))),))


def _swap_colours(description: Description) -> Description:
    first, second = description.phrases
    swapped = (replace(first, colour=second.colour), replace(second, colour=first.colour))
    return replace(description, phrases=swapped)


def _opposite(description: Description, rng: np.random.Generator) -> str:
    if description.relation in OPPOSITE and rng.random() < 0.7:
        return OPPOSITE[description.relation]
    return str(rng.choice([one for one in RELATIONS[:4] if one != description.relation]))


def say(full: Description, like: Description) -> Description:
    """The full description with just those kinds of words that `like` says."""
    phrases = tuple(
        replace(
            phrase,
            colour=phrase.colour if model.colour is not None else None,
            texture=phrase.texture if model.texture is not None else None,
        )
        for phrase, model in zip(full.phrases, like.phrases, strict=True)
    )
    return Description(phrases, full.relation)


def may_be_true(said: Description, full: Description) -> bool:
    """Whether a caption is true of a scene. `and` is taken as true in any order."""
    if (said.relation is None) != (full.relation is None):
        return False
    if said.relation in OPPOSITE and said.relation != full.relation:
        turned = Description(full.phrases[::-1], OPPOSITE.get(str(full.relation)))
        return (
            full.relation in OPPOSITE
            and turned.relation == said.relation
            and _fits(said.phrases, turned.phrases)
        )
    orders = [full.phrases] if said.relation != "and" else [full.phrases, full.phrases[::-1]]
    return any(_fits(said.phrases, order) for order in orders)


def _fits(said: tuple[Phrase, ...], full: tuple[Phrase, ...]) -> bool:
    return all(
        word in (None, truth)
        for one, other in zip(said, full, strict=True)
        for word, truth in zip(vars(one).values(), vars(other).values(), strict=True)
    )


@dataclass(frozen=True)
class ScorerBatch:
    """Pictures and captions; entry (i, i) is right, twins lie side by side."""

    pictures: np.ndarray  # (2P, 64, 64, 3) uint8
    captions: list[str]  # 2P
    also_true: Tensor  # (2P, 2P) bool: picture, caption; true but not the pair itself
    scenes: list[Scene]  # 2P
    told: list[np.ndarray]  # 4P, each (13,): by the pictures, then by the captions


def scorer_batch(step: int, pairs: int = PAIRS, seed: int = SEED) -> ScorerBatch:
    """Scenes, each followed by its twin; depends on (seed, step) alone."""
    rng = np.random.default_rng((seed, step))
    fulls, saids, scenes = [], [], []
    for _ in range(pairs):
        scene = sample_scene(rng)
        full = full_description(scene)
        if full.relation == "and":  # where they lie makes a relation true that nobody said
            full = replace(full, relation="and")
        said = say(full, scene.description)
        other = twin_of(full, said, rng)
        twin = replace(scene_of(other, rng), background=scene.background)
        fulls += [full, other]
        saids += [said, say(other, said)]
        scenes += [scene, twin]
    also = [
        [i != j and may_be_true(s, f) for j, s in enumerate(saids)] for i, f in enumerate(fulls)
    ]
    pictures = np.stack([_wear(scene, rng) for scene in scenes])
    wholes = [told(scene) for scene in scenes] + [told_by(said) for said in saids]
    captions = [caption_text(said) for said in saids]
    return ScorerBatch(pictures, captions, torch.tensor(also), scenes, wholes)


def _wear(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    picture = render(scene)
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9)))
    values = np.asarray(picture) + rng.normal(0, rng.uniform(0, 6), 3)
    values = values + rng.normal(0, rng.uniform(0, 6), values.shape)
    return np.clip(values, 0, 255).astype(np.uint8)


def scorer_loss(seer: Seer, tokenizer: CLIPTokenizer) -> StepLoss:
    """CLIP's symmetric loss, and what there is to see."""
    patch = seer.clip.config.vision_config.patch_size

    def loss_of(step: int, _generator: torch.Generator) -> Tensor:
        batch = scorer_batch(step)
        tokens = tokenizer(batch.captions, padding=True, return_tensors="pt")
        output = seer.clip(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            pixel_values=pixels_of(batch.pictures),
        )
        seen = seeing_loss(
            seer(output),
            torch.from_numpy(np.stack([shown(scene, patch) for scene in batch.scenes])),
            torch.from_numpy(np.stack(batch.told)),
        )
        return contrastive_loss(output.logits_per_image, batch.also_true) + seen

    return loss_of


def contrastive_loss(logits: Tensor, also_true: Tensor) -> Tensor:
    """Over pictures and over captions, and once more between twins alone; logits (2P, 2P)."""
    rows = torch.arange(len(logits))
    open_logits = logits.masked_fill(also_true, -1e4)
    both = nn.functional.cross_entropy(open_logits, rows) + nn.functional.cross_entropy(
        open_logits.T, rows
    )
    twins = rows ^ 1
    use = ~(also_true[rows, twins])
    by_picture = logits[rows, rows] - logits[rows, twins]
    by_caption = logits[rows, rows] - logits[twins, rows]
    hard = -nn.functional.logsigmoid(by_picture[use]) - nn.functional.logsigmoid(by_caption[use])
    return both / 2 + hard.mean()
