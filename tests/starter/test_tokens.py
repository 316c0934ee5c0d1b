"""The tokenizer takes any text, and both libraries read it alike."""

import unicodedata

import pytest
from tokenizers import Tokenizer
from transformers import CLIPTokenizer

from loop_studio.starter.prompts import EVALUATION_PROMPTS, STARTER_PROMPTS
from loop_studio.starter.tokens import MAX_LENGTH, train_tokenizer

TEXTS = [
    "a red circle",
    "",
    "Żółw, 日本 & 🦊🏽!",
    "don't",
    "x" * 300,
    "\u0000\u200d\ufffd é e\u0301",
    "Ωmega \ufb01sh \u00df \u0130",
    "line\nbreak\ttab",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(list(STARTER_PROMPTS + EVALUATION_PROMPTS)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_round_trips(folder, text):
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    back = tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True)
    # CLIP lowers case and keeps no spaces: these it must not invent or lose letters around.
    assert "".join(back.split()) == "".join(unicodedata.normalize("NFC", text).lower().split())


@pytest.mark.parametrize("text", TEXTS)
def test_both_libraries_read_the_same_tokens(folder, text):
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert plain.encode(text).ids == CLIPTokenizer.from_pretrained(folder)(text).input_ids


def test_trained_words_are_one_token_each(folder):
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    words = {word for prompt in STARTER_PROMPTS for word in prompt.split()}
    assert all(len(tokenizer.tokenize(word)) == 1 for word in words)


def test_length_is_limited(folder):
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == MAX_LENGTH
    ids = tokenizer("word " * 99, truncation=True, padding="max_length").input_ids
    assert len(ids) == MAX_LENGTH
    assert ids[-1] == tokenizer.eos_token_id
