"""Prompts of the starter: for a new project, for evaluation, and held out for the model card.

Standard library only, so that the web process may import it.
"""

from __future__ import annotations

from loop_studio.starter.captions import (
    COLOURS,
    HELD_OUT_PAIRS,
    HELD_OUT_RELATIONS,
    RELATIONS,
    Description,
    Phrase,
    caption_text,
)

# The prompts of the project that exists at first start: one object, textured ones, two, several.
STARTER_PROMPTS = (
    "a red circle",
    "a blue star",
    "a green tree",
    "a yellow moon",
    "a pink heart",
    "a purple flower",
    "an orange house",
    "a brown fish",
    "a red house",
    "a blue fish",
    "a green square",
    "a yellow star",
    "a pink flower",
    "a purple triangle",
    "an orange circle",
    "a brown tree",
    "a red heart",
    "a blue moon",
    "a green triangle",
    "a yellow fish",
    "a pink house",
    "a purple heart",
    "an orange flower",
    "a brown square",
    "a striped red star",
    "a dotted blue circle",
    "a striped green fish",
    "a dotted yellow heart",
    "a striped pink square",
    "a dotted purple tree",
    "a striped orange triangle",
    "a dotted brown house",
    "a striped blue heart",
    "a dotted red flower",
    "a red star left of a blue fish",
    "a green circle right of a yellow square",
    "a pink flower above a brown house",
    "a purple moon below an orange star",
    "a blue circle and a red triangle",
    "a yellow fish left of a green tree",
    "an orange heart above a purple circle",
    "a brown house right of a green flower",
    "a red moon and a yellow star",
    "a pink star below a blue moon",
    "a green house left of a pink circle",
    "a purple fish and an orange fish",
    "a striped red circle left of a blue star",
    "a dotted green moon above a pink heart",
    "two red hearts",
    "three blue stars",
    "four yellow circles",
    "two green triangles",
    "three pink flowers",
    "four purple moons",
    "two orange fish",
    "three brown squares",
    "four red trees",
    "two blue houses",
    "two striped green stars",
    "three dotted orange circles",
)

# Never in STARTER_PROMPTS; with every third of the others they make the evaluation list.
_NEVER_RATED = (
    "a red triangle",
    "a blue heart",
    "a green moon",
    "a yellow flower",
    "a pink circle",
    "a purple star",
    "an orange tree",
    "a brown circle",
    "a striped blue house",
    "a dotted green square",
    "a striped purple fish",
    "a dotted pink moon",
    "a blue flower left of a red square",
    "a yellow tree above a purple heart",
    "an orange star and a green circle",
    "a brown fish below a pink moon",
    "two purple flowers",
    "three green hearts",
    "four blue triangles",
    "three yellow houses",
)

# 60 prompts: 40 that are also in STARTER_PROMPTS (two of every three), 20 that never are.
EVALUATION_PROMPTS = (
    tuple(prompt for i, prompt in enumerate(STARTER_PROMPTS) if i % 3 != 2) + _NEVER_RATED
)


def _one_object() -> tuple[str, ...]:
    return tuple(
        caption_text(Description((Phrase(shape, colour, texture),)))
        for colour, shape in sorted(HELD_OUT_PAIRS)
        for texture in (None, "striped", "dotted")
    )


def _two_objects() -> tuple[str, ...]:
    seen = list(zip(COLOURS, COLOURS[3:] + COLOURS[:3], strict=True))
    captions = []
    for i, (first, second) in enumerate(sorted(HELD_OUT_RELATIONS)):
        for j, relation in enumerate(RELATIONS):
            one, other = seen[(i + 2 * j) % len(seen)]
            phrases = (Phrase(first, one), Phrase(second, other))
            captions.append(caption_text(Description(phrases, relation)))
    return tuple(captions)


def _counts() -> tuple[str, ...]:
    return tuple(
        caption_text(Description((Phrase(shape, colour, count=count),)))
        for colour, shape in sorted(HELD_OUT_PAIRS)
        for count in (2, 3, 4)
    )


HELD_OUT_ONE_OBJECT = _one_object()  # 8 pairs of colour and shape x no texture, striped, dotted
HELD_OUT_TWO_OBJECTS = _two_objects()  # 10 ordered pairs of shapes x 5 relations
HELD_OUT_COUNTS = _counts()  # 8 pairs of colour and shape x two, three, four
