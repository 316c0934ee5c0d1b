"""The language of the starter's world: descriptions, their captions, and the way back.

Standard library only, so that the web process may import it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SHAPES = (
    "circle", "square", "triangle", "star", "heart", "moon", "flower", "tree", "house", "fish",
)  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
TEXTURES = ("solid", "striped", "dotted")
RELATIONS = ("left of", "right of", "above", "below", "and")
NUMBERS = ("one", "two", "three", "four")
OPENINGS = ("a picture of", "an icon of", "a drawing of")

# Every colour and every shape occurs in training, these pairs of them never do.
HELD_OUT_PAIRS = frozenset(
    {("red", "fish"), ("orange", "moon"), ("yellow", "house"), ("green", "heart"),
     ("blue", "tree"), ("purple", "square"), ("pink", "triangle"), ("brown", "star")}
)  # fmt: skip
# First shape, second shape: never seen together in this order, whatever the relation.
HELD_OUT_RELATIONS = frozenset(
    {("circle", "square"), ("square", "star"), ("triangle", "heart"), ("star", "moon"),
     ("heart", "circle"), ("moon", "tree"), ("flower", "house"), ("tree", "fish"),
     ("house", "flower"), ("fish", "triangle")}
)  # fmt: skip


@dataclass(frozen=True)
class Phrase:
    """One noun phrase: what is said of an object, or of several alike."""

    shape: str
    colour: str | None = None  # None where nothing is said
    texture: str | None = None  # None where nothing is said
    count: int = 1  # 1 to 4


@dataclass(frozen=True)
class Description:
    """What a caption says: one phrase, or two single objects with a relation."""

    phrases: tuple[Phrase, ...]
    relation: str | None = None  # of the first phrase to the second


def plural(shape: str) -> str:
    """`two fish`, but `two stars`."""
    return shape if shape == "fish" else shape + "s"


def article(word: str) -> str:
    """`an` before a vowel, else `a`."""
    return "an" if word[0] in "aeiou" else "a"


def phrase_text(phrase: Phrase) -> str:
    """A noun phrase in plain English, as in `a striped red star` or `three blue stars`."""
    words = [word for word in (phrase.texture, phrase.colour) if word is not None]
    if phrase.count == 1:
        words.append(phrase.shape)
        return " ".join([article(words[0]), *words])
    return " ".join([NUMBERS[phrase.count - 1], *words, plural(phrase.shape)])


def caption_text(description: Description) -> str:
    """The plainest caption of a description."""
    texts = [phrase_text(phrase) for phrase in description.phrases]
    return texts[0] if description.relation is None else f" {description.relation} ".join(texts)


def is_held_out(description: Description) -> bool:
    """Whether a caption says a combination that training never shows."""
    pairs = {(phrase.colour, phrase.shape) for phrase in description.phrases}
    shapes = tuple(phrase.shape for phrase in description.phrases)
    return bool(pairs & HELD_OUT_PAIRS) or shapes in HELD_OUT_RELATIONS


_SHAPE_OF_WORD = {shape: shape for shape in SHAPES} | {plural(shape): shape for shape in SHAPES}
_COUNT_OF_WORD = {"a": 1, "an": 1} | {
    word: number for number, name in enumerate(NUMBERS, 1) for word in (name, str(number))
}
_SPLIT = re.compile(
    r"\s+(?:(?:to the|on the)\s+)?(left of|right of|above|below|and)\s+", flags=re.IGNORECASE
)
_OPENING = re.compile(r"^(?:" + "|".join(OPENINGS) + r")\s+", flags=re.IGNORECASE)


def parse_caption(text: str) -> Description | None:
    """What a caption says, or None if it is not in the world's language."""
    body = _OPENING.sub("", text.strip().rstrip("."))
    pieces = _SPLIT.split(body)
    if len(pieces) not in (1, 3):
        return None
    phrases = [_parse_phrase(piece) for piece in pieces[::2]]
    if len(pieces) == 1:
        return Description((phrases[0],)) if phrases[0] is not None else None
    first, second = phrases
    if first is None or second is None or first.count > 1 or second.count > 1:
        return None
    return Description((first, second), pieces[1].lower())


def _parse_phrase(text: str) -> Phrase | None:
    words = text.lower().split()
    if not words or words[-1] not in _SHAPE_OF_WORD:
        return None
    noun = words.pop()
    said = {"count": "", "colour": "", "texture": ""}
    for word in words:
        kind = _kind_of_word(word)
        if kind is None or said[kind]:
            return None
        said[kind] = word
    count = _COUNT_OF_WORD.get(said["count"], 1)
    if (count > 1) != (noun == plural(_SHAPE_OF_WORD[noun])) and noun != "fish":
        return None
    return Phrase(_SHAPE_OF_WORD[noun], said["colour"] or None, said["texture"] or None, count)


def _kind_of_word(word: str) -> str | None:
    if word in _COUNT_OF_WORD:
        return "count"
    if word in COLOURS:
        return "colour"
    return "texture" if word in TEXTURES else None
