"""A reward of your own: `module:function`, called with one group's pictures and prompts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib import import_module

from PIL.Image import Image

from loop_studio.errors import RewardFailed
from loop_studio.settings import Settings

Scores = Callable[[list[Image], list[str]], list[float]]


class OwnFunction:
    """A function as a reward model; another source text is another version."""

    def __init__(self, function: Scores, named: str) -> None:
        self._function = function
        self.version = sha256(f"{named}\n{_source(function)}".encode()).hexdigest()[:12]

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """What the function says; checked by who asks."""
        return self._function(images, prompts)


def _source(function: Scores) -> str:
    module = inspect.getmodule(function)
    try:
        return inspect.getsource(module if module is not None else function)
    except (OSError, TypeError):
        return ""


def build(name: str, settings: Settings, values: Mapping[str, str], device: str) -> OwnFunction:
    """What the catalogue's `function` loads; that it may be, the catalogue has checked."""
    module, _, attribute = values["function"].partition(":")
    try:
        function = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RewardFailed(
            f"The function {values['function']} cannot be imported ({error}). Its module must lie "
            "on the worker's Python path, as where the studio was started."
        ) from error
    if not callable(function):
        raise RewardFailed(f"{values['function']} is no function; name one.")
    return OwnFunction(function, values["function"])
