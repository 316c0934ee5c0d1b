"""What the web process can tell about a model and its prompts without loading the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from loop_studio import model_folder
from loop_studio.content import NO_CHECKER
from loop_studio.errors import Invalid
from loop_studio.settings import STARTER
from loop_studio.starter.paths import DIFFUSION_FOLDER
from loop_studio.starter.words import unknown_words

_CHECKED = "This model has a safety checker: it looks at every picture unless content is off."
_UNCHECKED = (
    "This model has no safety checker: blur covers every picture until it is clicked, and block "
    "is not to be had."
)
_ON_HUB = (
    "Whether this model has a safety checker is known once the worker has loaded it. Without one, "
    "blur covers every picture until it is clicked, and with block no group is made."
)
LONGEST_PROMPT = 1000  # characters
HUB_TOKENS = 77  # of every Stable Diffusion text encoder, when its folder is not here
_CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def check_model(model: str) -> None:
    """Raise Invalid unless `model` is the starter, a whole model folder, or looks like a hub id."""
    if model == STARTER:
        return
    kind = model_folder.kind(model)
    if kind == "unknown":
        raise Invalid(
            f"There is no model {model[:200]!r}; give {STARTER!r}, a folder of this machine that "
            "holds a diffusers model, or a hub id such as owner/name or owner/name@revision."
        )
    if kind == "folder" and (fault := model_folder.fault(Path(model))) is not None:
        raise Invalid(fault)


def check_content(model: str, content: object) -> None:
    """Raise Invalid where a project of this model cannot do what `content` says."""
    folder = _folder(model)
    if content not in ("blur", "block") or folder is None:
        return
    if (fault := model_folder.checker_fault(folder)) is not None:
        raise Invalid(fault)
    if content == "block" and not model_folder.has_checker(folder):
        raise Invalid(NO_CHECKER)


def content_note(model: str) -> str:
    """What can be done about sensitive pictures of this model, in one or two sentences."""
    folder = _folder(model)
    if folder is None:
        return _ON_HUB
    return _CHECKED if model_folder.has_checker(folder) else _UNCHECKED


def is_on_hub(model: str) -> bool:
    """Whether only the worker can tell if the model is usable."""
    return model != STARTER and model_folder.kind(model) == "hub"


def check_prompts(prompts: Sequence[str], model: str) -> list[tuple[str, list[str]]]:
    """Each prompt, trimmed, with the words that the model never saw.

    Raises Invalid for one that is empty or that the model would cut off.
    """
    return [
        check_prompt(prompt, model, f"Prompt {place}") for place, prompt in enumerate(prompts, 1)
    ]


def check_prompt(prompt: str, model: str, name: str = "This prompt") -> tuple[str, list[str]]:
    """One prompt as in `check_prompts`; `name` is what a refusal calls it."""
    folder = _folder(model)
    text = prompt.strip()
    if not text:
        raise Invalid(f"{name} is empty; write what the picture should show.")
    if len(text) > LONGEST_PROMPT:
        raise Invalid(f"{name} has {len(text)} characters; a prompt has at most {LONGEST_PROMPT}.")
    count, most = _token_count(text, folder)
    if count > most:
        raise Invalid(
            f"{name} ({_short(text)!r}) has {count} tokens with start and end; this model "
            f"reads at most {most}. Shorten it."
        )
    return text, unknown_words(text, folder) if folder else []


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."


def _folder(model: str) -> Path | None:
    if model == STARTER:
        return DIFFUSION_FOLDER
    return Path(model) if model_folder.kind(model) == "folder" else None


def _token_count(text: str, folder: Path | None) -> tuple[int, int]:
    """How many tokens a prompt has, with start and end, and how many the model reads.

    Without the model's folder the count is of CLIP's words: never more than its tokens.
    """
    if folder is None or not model_folder.has_tokenizer(folder):
        return _words(text) + 2, HUB_TOKENS
    file = folder / "tokenizer" / "tokenizer_config.json"
    stamp = file.stat().st_mtime_ns if file.is_file() else 0
    tokenizer, most = _tokenizer(folder, stamp)
    return len(tokenizer.encode(text, add_special_tokens=False).ids) + 2, most


def _words(text: str) -> int:
    split = pre_tokenizers.Split(Regex(_CLIP_WORDS), "removed", invert=True)
    return len(split.pre_tokenize_str(text.lower()))


@lru_cache(maxsize=16)
def _tokenizer(folder: Path, stamp: int) -> tuple[Tokenizer, int]:
    """The folder's tokenizer and its limit; `stamp` changes when the folder does."""
    home = folder / "tokenizer"
    config = _json(home / "tokenizer_config.json")
    most = min(int(config.get("model_max_length", HUB_TOKENS)), LONGEST_PROMPT)
    if (home / "tokenizer.json").is_file():
        whole = Tokenizer.from_file(str(home / "tokenizer.json"))
        whole.no_truncation()
        whole.no_padding()
        return whole, most
    return _clip(home), most


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _clip(home: Path) -> Tokenizer:
    """CLIP's tokenizer from the two files that older folders keep."""
    vocabulary, merges = models.BPE.read_file(str(home / "vocab.json"), str(home / "merges.txt"))
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>")
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_WORDS), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer
