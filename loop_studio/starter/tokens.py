"""A CLIP tokenizer of the world's captions; with every byte in it, so any text tokenises."""

from __future__ import annotations

import json

from tokenizers import pre_tokenizers, trainers
from transformers import CLIPTokenizer

MAX_LENGTH = 32  # tokens, with start and end
START, END = "<|startoftext|>", "<|endoftext|>"
# Large enough for every word of the captions to be one token. The alphabet alone takes 512.
VOCABULARY = 700


def train_tokenizer(captions: list[str]) -> CLIPTokenizer:
    """Byte-pair merges learned on captions, over the full byte alphabet."""
    blank = CLIPTokenizer().backend_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    counted = sorted(set(captions))
    blank.train_from_iterator(counted, trainer)
    learned = blank.to_str()
    return _with_every_byte(learned)


def _with_every_byte(learned: str) -> CLIPTokenizer:
    """CLIP's own order: bytes, bytes that end a word, merges, start, end."""
    merges = [tuple(merge) for merge in json.loads(learned)["model"]["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet)]
    tokens += dict.fromkeys(
        token for merge in merges if (token := "".join(merge)) not in set(tokens)
    )
    vocabulary = {token: i for i, token in enumerate([*tokens, START, END])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_LENGTH)
