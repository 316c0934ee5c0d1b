"""A finished zip on its way to a repository of the Hugging Face hub."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import BinaryIO

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils.tqdm import disable_progress_bars

from loop_studio.errors import Invalid, Refused

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_UNREACHABLE = "The hub cannot be reached; check the network of this machine, then try again."
_REFUSED = {
    401: "The hub does not know this token; make one with the right to write at "
    "huggingface.co/settings/tokens.",
    403: "This token may not write to {name}; use a token with the right to write, or another "
    "repository.",
    404: "The hub has no owner of {name} that this token may write for.",
}


def push(file: BinaryIO, folder: Path, name: str, token: str, *, private: bool) -> str:
    """Upload every entry of a zip in one commit, by way of `folder`; returns the page's address.

    The repository is made if there is none. Raises Invalid for a name that is none, and Refused
    with one sentence when the hub refuses or does not answer.
    """
    _check(name)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    disable_progress_bars()
    api = HfApi(token=token, library_name="loop-studio")
    try:
        made = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id, folder_path=folder, commit_message="A version from LOOP Studio"
        )
    except HfHubHTTPError as error:
        status = error.response.status_code
        sentence = _REFUSED.get(status, f"The hub refused with status {status}; try again later.")
        raise Refused(sentence.format(name=name), "hub_refused") from error
    except (OfflineModeIsEnabled, httpx2.HTTPError, ConnectionError) as error:
        raise Refused(_UNREACHABLE, "hub_unreachable") from error
    except ValueError as error:  # huggingface_hub's word for a model card that the hub refuses
        raise Refused("The hub refused the model card; try again later.", "hub_refused") from error
    return str(made)


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(f"repository must be owner/name of the hub; it was {name[:100]!r}.")
