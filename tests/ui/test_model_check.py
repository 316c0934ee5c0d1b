"""Prompts against a model's own tokenizer, without transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from loop_studio.errors import Invalid
from loop_studio.starter.words import write_words
from loop_studio.ui.model_check import check_prompts

START, END = "<|startoftext|>", "<|endoftext|>"
LIMIT = 8
MERGES = [("r", "e"), ("re", "d</w>"), ("c", "a"), ("ca", "t</w>")]


def vocabulary() -> dict[str, int]:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += ["".join(merge) for merge in MERGES]
    return {token: number for number, token in enumerate([*tokens, START, END])}


@pytest.fixture(params=["vocab.json", "tokenizer.json"])
def folder(request, tmp_path: Path) -> Path:
    """A model folder that keeps its tokenizer in the old form or in the new one."""
    home = tmp_path / "tokenizer"
    home.mkdir()
    (home / "tokenizer_config.json").write_text(json.dumps({"model_max_length": LIMIT}))
    if request.param == "vocab.json":
        (home / "vocab.json").write_text(json.dumps(vocabulary()))
        lines = ["#version: 0.2", *(" ".join(merge) for merge in MERGES)]
        (home / "merges.txt").write_text("\n".join(lines) + "\n")
        return tmp_path
    tokenizer = Tokenizer(
        models.BPE(vocabulary(), MERGES, end_of_word_suffix="</w>", unk_token=END)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    numbers = vocabulary()
    tokenizer.post_processor = processors.BertProcessing(
        (END, numbers[END]), (START, numbers[START])
    )
    tokenizer.enable_truncation(LIMIT)
    tokenizer.save(str(home / "tokenizer.json"))
    return tmp_path


def test_a_prompt_that_just_fits_is_kept_and_trimmed(folder):
    assert check_prompts(["  red cat red cat red cat\n"], str(folder)) == [
        ("red cat red cat red cat", [])
    ]


@pytest.mark.parametrize("text", ["red " * 7, "xyzxyzx", "\U0001f600\U0001f600", "a, b, c, d"])
def test_one_token_more_is_refused_with_both_counts(folder, text):
    with pytest.raises(Invalid, match=rf"Prompt 2 .* tokens .* at most {LIMIT}"):
        check_prompts(["red cat", text], str(folder))


def test_words_that_the_model_never_saw_are_told(folder):
    write_words(["a red cat"], folder)
    assert check_prompts(["red dog"], str(folder)) == [("red dog", ["dog"])]


def test_without_the_folder_77_words_of_clip_are_the_limit():
    fits = "red " * 75
    assert check_prompts([fits], "owner/name") == [(fits.strip(), [])]
    with pytest.raises(Invalid, match="at most 77"):
        check_prompts([fits + "cat"], "owner/name")


def test_a_tokenizer_without_a_limit_has_the_limit_of_clip(folder):
    (folder / "tokenizer" / "tokenizer_config.json").write_text("[]")
    with pytest.raises(Invalid, match="at most 77"):
        check_prompts(["red " * 76], str(folder))
