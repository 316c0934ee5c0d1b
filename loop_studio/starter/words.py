"""Which words a model has never seen. Without torch: the web process asks before it enqueues."""

from __future__ import annotations

import json
import re
from pathlib import Path

WORDS_FILE = Path("tokenizer") / "words.json"  # inside a diffusion folder
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and in order."""
    return _WORD.findall(text.lower())


def unknown_words(text: str, folder: Path) -> list[str]:
    """Words of `text` that the model in a diffusion folder never saw in training.

    Each once, in order. Empty where the folder does not say which words it knows, as all
    folders but the starter's.
    """
    file = folder / WORDS_FILE
    if not file.is_file():
        return []
    known = set(json.loads(file.read_text(encoding="utf-8")))
    return [word for word in dict.fromkeys(words_of(text)) if word not in known]


def write_words(captions: list[str], folder: Path) -> None:
    """Writes the list that `unknown_words` reads."""
    words = sorted({word for caption in captions for word in words_of(caption)})
    file = folder / WORDS_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(words, indent=0) + "\n", encoding="utf-8")
