"""The world's language, its prompts, and the words it does not know."""

import json

import numpy as np
import pytest

from loop_studio.starter.captions import (
    Description,
    Phrase,
    caption_text,
    is_held_out,
    parse_caption,
)
from loop_studio.starter.prompts import (
    EVALUATION_PROMPTS,
    HELD_OUT_COUNTS,
    HELD_OUT_ONE_OBJECT,
    HELD_OUT_TWO_OBJECTS,
    STARTER_PROMPTS,
)
from loop_studio.starter.words import unknown_words, write_words
from loop_studio.starter.world import sample_scene


def test_captions_of_scenes_parse_back():
    for i in range(1000):
        scene = sample_scene(np.random.default_rng((7, i)), held_out=True)
        assert parse_caption(scene.caption) == scene.description, scene.caption


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("a striped red star left of a blue fish",
         Description((Phrase("star", "red", "striped"), Phrase("fish", "blue")), "left of")),
        ("Three blue stars.", Description((Phrase("star", "blue", count=3),))),
        ("two fish", Description((Phrase("fish", count=2),))),
        ("a picture of a moon to the right of an orange tree",
         Description((Phrase("moon"), Phrase("tree", "orange")), "right of")),
        ("red dotted heart", Description((Phrase("heart", "red", "dotted"),))),
    ],
)  # fmt: skip
def test_reads_plain_english(text: str, description: Description):
    assert parse_caption(text) == description


@pytest.mark.parametrize(
    "text", ["", "a dragon", "a red red star", "three star", "a stars", "two stars above a moon",
             "a star above a moon below a fish"],
)  # fmt: skip
def test_other_text_is_not_in_the_language(text: str):
    assert parse_caption(text) is None


def test_training_scenes_never_show_what_is_held_out():
    scenes = [sample_scene(np.random.default_rng((8, i))) for i in range(2000)]
    assert not any(is_held_out(scene.description) for scene in scenes)


def test_prompt_lists_keep_their_promises():
    for prompts in (STARTER_PROMPTS, EVALUATION_PROMPTS):
        assert len(prompts) == len(set(prompts)) == 60
    assert len(set(EVALUATION_PROMPTS) & set(STARTER_PROMPTS)) == 40
    for prompt in STARTER_PROMPTS + EVALUATION_PROMPTS:
        assert parse_caption(prompt) is not None, prompt
    for prompt in HELD_OUT_ONE_OBJECT + HELD_OUT_TWO_OBJECTS + HELD_OUT_COUNTS:
        description = parse_caption(prompt)
        assert description is not None
        assert is_held_out(description), prompt
        assert caption_text(description) == prompt


def test_unknown_words_are_named_once_and_in_order(tmp_path):
    write_words(["a red star", "two fish"], tmp_path)
    assert unknown_words("A RED dragon and a red Dragon's fish, 日本!", tmp_path) == [
        "dragon", "and", "dragon's", "日本",
    ]  # fmt: skip
    assert unknown_words("a red star", tmp_path) == []


def test_a_folder_without_a_word_list_knows_no_unknown_words(tmp_path):
    assert unknown_words("anything at all", tmp_path) == []


def test_word_list_is_plain_json(tmp_path):
    write_words(["a red star"], tmp_path)
    words = json.loads((tmp_path / "tokenizer" / "words.json").read_text())
    assert words == ["a", "red", "star"]
