"""The starter's world: flat icons on plain or tinted backgrounds, drawn from seeds.

Where an object lies, how large it is and how dark its background are drawn at random and named in
no caption: they are the tastes that people teach later. Combinations held out for validation
(`captions.is_held_out`) never occur in a training scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from loop_studio.starter.captions import (
    COLOURS,
    OPENINGS,
    RELATIONS,
    SHAPES,
    TEXTURES,
    Description,
    Phrase,
    caption_text,
    is_held_out,
)

Colour = tuple[int, int, int]  # RGB, 0 to 255

CANVAS = 64  # pixels
RGB: dict[str, Colour] = {
    "red": (222, 38, 38),
    "orange": (245, 138, 20),
    "yellow": (246, 214, 36),
    "green": (40, 160, 66),
    "blue": (36, 92, 222),
    "purple": (134, 54, 188),
    "pink": (250, 128, 188),
    "brown": (138, 82, 42),
}
DARK_SHARE = 0.18
TEXTURE_SAID_SHARE = 0.45
COLOUR_SAID_SHARE = 0.9
SAID_TEXTURES = (0.08, 0.46, 0.46)  # solid, striped, dotted where the caption says a texture
UNSAID_TEXTURES = (0.46, 0.42, 0.12)  # the same where it does not
KINDS = (0.52, 0.28, 0.20)  # one object, two objects, two to four of a kind


@dataclass(frozen=True)
class Thing:
    """One object as drawn."""

    shape: str
    colour: str
    texture: str
    x: float  # centre, pixels from the left
    y: float  # centre, pixels from the top
    radius: float  # half of its extent, pixels
    phase: float = 0.0  # where its pattern begins, 0 to 1


@dataclass(frozen=True)
class Scene:
    """What is drawn, and the caption that says a part of it."""

    things: tuple[Thing, ...]
    background: Colour
    description: Description  # only what the caption says
    caption: str
    relation: str | None = None  # between the two things of a two-object scene


def sample_scene(rng: np.random.Generator, held_out: bool = False) -> Scene:
    """Draws a scene with its caption. With `held_out`, held-out combinations occur too."""
    build = rng.choice(np.array([_one_object, _two_objects, _several], dtype=object), p=KINDS)
    while True:
        truth, things, relation = build(rng)
        if held_out or not is_held_out(truth):
            break
    description = _leave_unsaid(truth, rng)
    return Scene(things, sample_background(rng), description, _word(description, rng), relation)


def scene_of(description: Description, rng: np.random.Generator) -> Scene:
    """Draws a scene of which the description is true; what it leaves open is random."""
    said = description.phrases
    if description.relation is not None:
        _truth, things, _ = _two_objects(
            rng, (_fill(said[0], rng), _fill(said[1], rng)), description.relation
        )
    elif said[0].count > 1:
        _truth, things, _ = _several(rng, _fill(said[0], rng))
    else:
        _truth, things, _ = _one_object(rng, _fill(said[0], rng))
    caption = caption_text(description)
    return Scene(things, sample_background(rng), description, caption, description.relation)


def sample_background(rng: np.random.Generator) -> Colour:
    """Dark in `DARK_SHARE` of scenes, else light; half of them plain grey, half tinted."""
    tint = rng.uniform(-1, 1, 3) if rng.random() < 0.5 else np.zeros(3)
    if rng.random() < DARK_SHARE:
        tone = rng.uniform(22, 58) + 16 * tint
    else:
        tone = rng.uniform(212, 250) + 22 * tint
    red, green, blue = (int(value) for value in np.clip(tone, 4, 255))
    return red, green, blue


Built = tuple[Description, tuple[Thing, ...], str | None]


def _one_object(rng: np.random.Generator, phrase: Phrase | None = None) -> Built:
    phrase = phrase or _sample_phrase(rng)
    radius = rng.uniform(11.5, 25.0)
    margin = radius + 1.5
    x, y = rng.uniform(margin, CANVAS - margin, 2)
    return Description((phrase,)), (_thing(phrase, x, y, radius, rng),), None


def _two_objects(
    rng: np.random.Generator,
    phrases: tuple[Phrase, Phrase] | None = None,
    relation: str | None = None,
) -> Built:
    first, second = phrases or (_sample_phrase(rng), _sample_phrase(rng))
    if phrases is None:
        while (first.colour, first.shape) == (second.colour, second.shape):
            second = _sample_phrase(rng)
    relation = relation or str(rng.choice(RELATIONS))
    place = relation if relation != "and" else str(rng.choice(RELATIONS[:4]))
    radii = rng.uniform(11.0, 14.6, 2)
    along = np.array([rng.uniform(15.5, 17.5), rng.uniform(46.5, 48.5)])
    across = rng.uniform(22, 42) + rng.uniform(-6, 6, 2)
    order = along if place in ("left of", "above") else along[::-1]
    xs, ys = (order, across) if place in ("left of", "right of") else (across, order)
    things = tuple(
        _thing(phrase, xs[i], ys[i], radii[i], rng) for i, phrase in enumerate((first, second))
    )
    return Description((first, second), relation), things, relation


def _several(rng: np.random.Generator, phrase: Phrase | None = None) -> Built:
    phrase = phrase or replace(_sample_phrase(rng), count=int(rng.integers(2, 5)))
    radius = rng.uniform(9.5, 12.8 - 0.5 * phrase.count)
    places = _scatter(phrase.count, radius, rng)
    phase = rng.random()
    things = tuple(
        replace(_thing(phrase, x, y, radius * rng.uniform(0.94, 1.04), rng), phase=phase)
        for x, y in places
    )
    return Description((phrase,)), things, None


def _scatter(count: int, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Centres that keep objects apart, shape (count, 2)."""
    low, high, gap = radius + 1.5, CANVAS - radius - 1.5, 2 * radius + 2.0
    while True:
        tries = rng.uniform(low, high, (256, count, 2))
        # Bounding boxes, not circles, must be apart: squares reach into the corners.
        apart = np.abs(tries[:, :, None] - tries[:, None]).max(-1) + 1e9 * np.eye(count)
        good = np.flatnonzero(apart.min((1, 2)) >= gap)
        if good.size:
            return np.asarray(tries[good[0]])


def _thing(phrase: Phrase, x: float, y: float, radius: float, rng: np.random.Generator) -> Thing:
    assert phrase.colour is not None
    assert phrase.texture is not None
    return Thing(
        phrase.shape, phrase.colour, phrase.texture, float(x), float(y), float(radius), rng.random()
    )


def _sample_phrase(rng: np.random.Generator) -> Phrase:
    """A full truth: shape, colour, and the texture `unsaid`, to be filled when it is worded."""
    shape, colour = str(rng.choice(SHAPES)), str(rng.choice(COLOURS))
    said = rng.random() < TEXTURE_SAID_SHARE
    texture = str(rng.choice(TEXTURES, p=SAID_TEXTURES if said else UNSAID_TEXTURES))
    return Phrase(shape, colour, texture)


def _fill(phrase: Phrase, rng: np.random.Generator) -> Phrase:
    colour = phrase.colour or str(rng.choice(COLOURS))
    texture = phrase.texture or str(rng.choice(TEXTURES, p=UNSAID_TEXTURES))
    return replace(phrase, colour=colour, texture=texture)


def _said_given_texture() -> dict[str, float]:
    """Chance that a texture is said, given that it is there: Bayes on the three shares above."""
    said = TEXTURE_SAID_SHARE * np.array(SAID_TEXTURES)
    unsaid = (1 - TEXTURE_SAID_SHARE) * np.array(UNSAID_TEXTURES)
    return dict(zip(TEXTURES, said / (said + unsaid), strict=True))


_SAID_GIVEN_TEXTURE = _said_given_texture()


def _leave_unsaid(truth: Description, rng: np.random.Generator) -> Description:
    phrases = tuple(
        replace(
            phrase,
            colour=phrase.colour if rng.random() < COLOUR_SAID_SHARE else None,
            texture=phrase.texture
            if rng.random() < _SAID_GIVEN_TEXTURE[str(phrase.texture)]
            else None,
        )
        for phrase in truth.phrases
    )
    return Description(phrases, truth.relation)


def _word(description: Description, rng: np.random.Generator) -> str:
    """A caption with a little of the variety of real prompts."""
    text = caption_text(description)
    if description.relation in ("left of", "right of") and rng.random() < 0.15:
        text = text.replace(description.relation, f"to the {description.relation}")
    variants: tuple[tuple[float, Callable[[str], str]], ...] = (
        (0.05, lambda plain: f"{rng.choice(OPENINGS)} {plain}"),
        (
            0.05,
            lambda plain: plain.split(" ", 1)[1] if description.phrases[0].count == 1 else plain,
        ),
        (0.90, lambda plain: plain),
    )
    shares = [share for share, _ in variants]
    return variants[int(rng.choice(len(variants), p=shares))][1](text)
