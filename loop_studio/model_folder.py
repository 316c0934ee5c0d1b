"""Whether a model can be used, told from names and sizes of files alone: no torch, no weights read.

The web process asks before it makes a project, the worker before it loads.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

PIPELINE = "StableDiffusionPipeline"
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_WEIGHTS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
}
_SETTINGS = {
    "unet": "config.json",
    "vae": "config.json",
    "text_encoder": "config.json",
    "scheduler": "scheduler_config.json",
}
_HEADER_LENGTH = 8  # bytes before a safetensors header
_LONGEST_HEADER = 100_000_000  # the format's own limit


def kind(model: str) -> Literal["folder", "hub", "unknown"]:
    """What a model's name stands for; an existing folder wins over a hub id."""
    if _is_folder(model):
        return "folder"
    return "hub" if _HUB_ID.fullmatch(model) else "unknown"


def fault(folder: Path) -> str | None:
    """What is wrong with a diffusers folder, in one sentence; None if all its parts are there."""
    if not folder.is_dir():
        return f"There is no model folder at {folder}."
    index = _json(folder / "model_index.json")
    if index is None:
        return (
            f"{folder} is not a diffusers model: it has no readable model_index.json; "
            "save it with save_pretrained."
        )
    if index.get("_class_name") != PIPELINE:
        return (
            f"{folder} holds a {index.get('_class_name')!r}; LOOP Studio trains models of the "
            f"kind {PIPELINE}."
        )
    return _part_fault(folder)


def variant(folder: Path) -> str | None:
    """`fp16` where the UNet's weights exist under that name only; None for the plain names."""
    unet, stem = folder / "unet", _WEIGHTS["unet"]
    plain = (unet / f"{stem}.safetensors").is_file()
    return "fp16" if not plain and (unet / f"{stem}.fp16.safetensors").is_file() else None


def _part_fault(folder: Path) -> str | None:
    for part, name in _SETTINGS.items():
        if _json(folder / part / name) is None:
            return f"{folder} is incomplete: {part}/{name} is missing or damaged."
    if not has_tokenizer(folder):
        return f"{folder} is incomplete: its tokenizer folder has no vocabulary."
    for part, stem in _WEIGHTS.items():
        if (wrong := _weights_fault(folder / part, stem)) is not None:
            return wrong
    return None


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder's words can be turned into tokens."""
    tokenizer = folder / "tokenizer"
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
    index = _json(part / f"{stem}.safetensors.index.json")
    shards = index.get("weight_map") if index else None
    if not isinstance(shards, dict):
        return []
    return [part / Path(str(name)).name for name in sorted(set(map(str, shards.values())))]


def safetensors_fault(file: Path) -> str | None:
    """What is wrong with a safetensors file by its header and size; None if it is whole."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(_HEADER_LENGTH), "little")
            if not 2 <= length <= min(size - _HEADER_LENGTH, _LONGEST_HEADER):
                return _truncated(file)
            header = json.loads(stream.read(length))
        ends = [
            int(entry["data_offsets"][1])
            for name, entry in header.items()
            if name != "__metadata__"
        ]
    except OSError:
        return f"{file} is missing or cannot be read."
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return _truncated(file)
    if _HEADER_LENGTH + length + max(ends, default=0) != size:
        return _truncated(file)
    return None


def _truncated(file: Path) -> str:
    return f"{file} is truncated or damaged; download or save it again."


def _is_folder(model: str) -> bool:
    try:
        return bool(model) and Path(model).is_dir()
    except (OSError, ValueError):  # a name too long, or with a NUL, is no folder
        return False


def _json(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
