"""Whether a model can be used, told from names and sizes of files alone: no torch, no weights read.

The web process asks before it makes a project, the worker before it loads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from loop_studio.settings import STARTER

_SINGLE = ("unet", "vae", "text_encoder")
FAMILIES: dict[str, tuple[str, ...]] = {
    "StableDiffusionPipeline": _SINGLE,
    "StableDiffusionXLPipeline": (*_SINGLE, "text_encoder_2"),
}
"""Kinds of models that train, by diffusers' own names, and the parts of each with weights."""
CHECKER = "safety_checker"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HUB_ID = re.compile(rf"{_NAME}/{_NAME}(@(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{{0,199}})?")
_HEADER_LENGTH = 8  # bytes before a safetensors header
_LONGEST_HEADER = 100_000_000  # the format's own limit


def kind(model: str) -> Literal["folder", "hub", "unknown"]:
    """What a model's name stands for; an existing folder wins over a hub id.

    A hub id may name a branch, a tag or a commit: `owner/name@revision`.
    """
    if _is_folder(model):
        return "folder"
    return "hub" if _HUB_ID.fullmatch(model) else "unknown"


def is_path(model: str) -> bool:
    """Whether a name that is not the starter's is no hub id, and so can only be a path."""
    return model != STARTER and kind(model) != "hub"


def fault(folder: Path) -> str | None:
    """What is wrong with a diffusers folder, in one sentence; None if all its parts are there."""
    if not folder.is_dir():
        return f"There is no model folder at {folder}."
    index = read_json(folder / "model_index.json")
    if index is None:
        return (
            f"{folder} is not a diffusers model: it has no readable model_index.json; "
            "save it with save_pretrained."
        )
    parts = FAMILIES.get(str(index.get("_class_name")))
    if parts is None:
        return (
            f"{folder} holds a {index.get('_class_name')!r}; LOOP Studio trains models of the "
            f"kinds {' and '.join(FAMILIES)}."
        )
    return _part_fault(folder, parts)


def has_checker(folder: Path) -> bool:
    """Whether a whole folder brings a safety checker of diffusers' own kind."""
    named = (read_json(folder / "model_index.json") or {}).get(CHECKER)
    return isinstance(named, list) and named[-1:] == ["StableDiffusionSafetyChecker"]


def checker_fault(folder: Path) -> str | None:
    """What is wrong with the safety checker that a folder brings; None if it is whole, or none."""
    if not has_checker(folder):
        return None
    for name in (f"{CHECKER}/config.json", "feature_extractor/preprocessor_config.json"):
        if read_json(folder / name) is None:
            return f"The safety checker of {folder} is incomplete: {name} is missing or damaged."
    return _weights_fault(folder / CHECKER, _stem(CHECKER))


def parts(folder: Path) -> tuple[str, ...]:
    """The parts of a whole folder that hold weights."""
    return FAMILIES[_kind(folder)]


def is_xl(folder: Path) -> bool:
    """Whether a whole folder holds SDXL."""
    return _kind(folder) == "StableDiffusionXLPipeline"


def shapes(folder: Path, part: str) -> dict[str, tuple[int, ...]]:
    """Shapes of a part's weights by name, for a whole folder; no weight is read."""
    return {
        name: tuple(entry["shape"])
        for file in _weight_files(folder / part, _stem(part))
        for name, entry in _header(file)[1].items()
    }


def variant(folder: Path) -> str | None:
    """`fp16` where the UNet's weights exist under that name only; None for the plain names."""
    unet, stem = folder / "unet", _stem("unet")
    plain = (unet / f"{stem}.safetensors").is_file()
    return "fp16" if not plain and (unet / f"{stem}.fp16.safetensors").is_file() else None


def _part_fault(folder: Path, parts: Sequence[str]) -> str | None:
    for name in (*(f"{part}/config.json" for part in parts), "scheduler/scheduler_config.json"):
        if read_json(folder / name) is None:
            return f"{folder} is incomplete: {name} is missing or damaged."
    for part in parts:
        tokenizer = part.replace("text_encoder", "tokenizer")
        if tokenizer != part and not has_tokenizer(folder, tokenizer):
            return f"{folder} is incomplete: its {tokenizer} folder has no vocabulary."
    for part in parts:
        if (wrong := _weights_fault(folder / part, _stem(part))) is not None:
            return wrong
    return None


def _stem(part: str) -> str:
    """How transformers, or diffusers, name a part's weights."""
    is_transformer = part.startswith("text_encoder") or part == CHECKER
    return "model" if is_transformer else "diffusion_pytorch_model"


def has_tokenizer(folder: Path, name: str = "tokenizer") -> bool:
    """Whether the folder's words can be turned into tokens."""
    tokenizer = folder / name
    pair = (tokenizer / "vocab.json").is_file() and (tokenizer / "merges.txt").is_file()
    return pair or (tokenizer / "tokenizer.json").is_file()


def _weights_fault(part: Path, stem: str) -> str | None:
    files = _weight_files(part, stem)
    if not files:
        pickled = any(part.glob("*.bin")) or any(part.glob("*.ckpt"))
        hint = " Pickled weights are never read; save them as safetensors." if pickled else ""
        return f"{part} has no weights ({stem}.safetensors).{hint}"
    for file in files:
        if (wrong := safetensors_fault(file)) is not None:
            return wrong
    return None


def _weight_files(part: Path, stem: str) -> list[Path]:
    whole = [part / f"{stem}.safetensors", part / f"{stem}.fp16.safetensors"]
    found = [file for file in whole if file.is_file()][:1]
    if found:
        return found
    index = read_json(part / f"{stem}.safetensors.index.json")
    shards = index.get("weight_map") if index else None
    if not isinstance(shards, dict):
        return []
    return [part / Path(str(name)).name for name in sorted(set(map(str, shards.values())))]


def safetensors_fault(file: Path) -> str | None:
    """What is wrong with a safetensors file by its header and size; None if it is whole."""
    try:
        start, header = _header(file)
        ends = [int(entry["data_offsets"][1]) for entry in header.values()]
        size = file.stat().st_size
    except OSError:
        return f"{file} is missing or cannot be read."
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return _truncated(file)
    return None if start + max(ends, default=0) == size else _truncated(file)


def _header(file: Path) -> tuple[int, dict[str, Any]]:
    """Where the tensors of a safetensors file begin, and what its header says of each.

    Raises OSError, or ValueError or AttributeError for what is not such a header.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_HEADER_LENGTH), "little")
        if not 2 <= length <= min(size - _HEADER_LENGTH, _LONGEST_HEADER):
            raise ValueError(f"{file} has no header")
        header = json.loads(stream.read(length))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    return _HEADER_LENGTH + length, tensors


def _truncated(file: Path) -> str:
    return f"{file} is truncated or damaged; download or save it again."


def _kind(folder: Path) -> str:
    return str((read_json(folder / "model_index.json") or {}).get("_class_name"))


def _is_folder(model: str) -> bool:
    try:
        return bool(model) and Path(model).is_dir()
    except (OSError, ValueError):  # a name too long, or with a NUL, is no folder
        return False


def read_json(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
