"""Where the weights of rewards lie: in the data folder, or as the hub's own client keeps them.

No tensor library: the web process asks what is here, the worker fetches what is not.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from loop_studio.errors import ModelUnusable
from loop_studio.model_folder import kind
from loop_studio.settings import Settings

_CONFIGURATION = ("*.json", "*.txt", "*.model")
_WEIGHTS = ("model*.safetensors",)


def own_folder(settings: Settings, model: str) -> Path:
    """The folder for `owner/name` that someone fills by hand."""
    return settings.reward_weights / model.partition("@")[0].replace("/", "--")


def here(settings: Settings, model: str) -> bool:
    """Whether a hub id or folder is on this machine already; asks no network."""
    return _by_hand(settings, model) is not None or _cached(model) is not None


def is_named(model: str) -> bool:
    """Whether a text is a folder that exists, or has the form of a hub id."""
    return kind(model) != "unknown"


def folder_of(settings: Settings, model: str, *, with_weights: bool = True) -> Path:
    """The folder of a hub id or folder, fetched unless it is here; weights as safetensors only.

    Raises ModelUnusable with the id and the folder to put it in.
    """
    if (found := _by_hand(settings, model)) is not None:
        return found
    name, _, revision = model.partition("@")
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision or None,
                token=settings.hub_token,
                allow_patterns=[*_CONFIGURATION, *(_WEIGHTS if with_weights else ())],
            )
        )
    except (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ModelUnusable(
            f"{model} is neither on this machine nor to be had from the hub. Put its files into "
            f"{own_folder(settings, model)}, or check its name, the network, and HF_TOKEN."
        ) from error


@cache
def fingerprint(*files: Path) -> str:
    """The first 12 digits of the sha256 of these files: what a reward's version changes with."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def fingerprint_of(folder: Path) -> str:
    """`fingerprint` of a folder's weights; raises ModelUnusable where it holds none."""
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise ModelUnusable(
            f"{folder} holds no model.safetensors; weights of rewards are read as safetensors "
            "only. docs/rewards.md says how to convert others."
        )
    return fingerprint(*files)


def _by_hand(settings: Settings, model: str) -> Path | None:
    if kind(model) == "folder":
        return Path(model)
    folder = own_folder(settings, model)
    return folder if folder.is_dir() else None


def _cached(model: str) -> Path | None:
    name, _, revision = model.partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, local_files_only=True))
    except (OSError, ValueError, LocalEntryNotFoundError):
        return None
