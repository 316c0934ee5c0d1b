"""The seam to reward models: how one is loaded, asked, and held to what it promises."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from itertools import islice
from threading import Thread
from typing import Any, NoReturn, Protocol, TypeVar

from PIL.Image import Image

from loop_studio.errors import ModelUnusable, NotFound, Refused, RewardFailed, StudioError
from loop_studio.rewards.availability import Parameters
from loop_studio.rewards.catalogue import RewardEntry, entry
from loop_studio.settings import Settings

CANNOT_SCORE = (RewardFailed, ModelUnusable, Refused)  # what loading and scoring raise
SCORE_LIMIT_S = 300.0  # for one group
LOAD_LIMIT_S = 3600.0  # weights may have to be fetched
MOST_LOADED = 4
_LOOK_S = 0.25
_NEXT_STEP = "Try it on the Rewards page, or give it no weight there"

T = TypeVar("T")


class RewardModel(Protocol):
    """Images and their prompts to raw scores, higher is better."""

    @property
    def version(self) -> str:
        """Changes whenever the same image could score differently."""
        ...

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """One raw score per image; where the catalogue says groupwise, of one whole group."""
        ...


class RewardModels:
    """The rewards of one worker: loaded at their first use, kept while they are used."""

    def __init__(self, settings: Settings, device: str = "cpu") -> None:
        self._settings = settings
        self._device = device
        self._loaded: dict[tuple[str, frozenset[tuple[str, str]]], RewardModel] = {}
        self._under_way: dict[str, tuple[Thread, float]] = {}  # the last of each name, its end

    def load(
        self, name: str, values: Parameters, meanwhile: Callable[[], object] = lambda: None
    ) -> RewardModel:
        """The reward called `name` with these parameters.

        Raises NotFound for a name that is not in the catalogue, Refused when it cannot be used
        here, RewardFailed or ModelUnusable when it cannot be loaded.
        """
        known = entry(name)
        if known is None:
            raise NotFound(f"There is no reward model called {name!r}.")
        filled = known.filled(values)
        key = (name, frozenset(filled.items()))
        model = self._loaded.pop(key, None)
        if model is None:
            model = self._build(known, filled, meanwhile)
        self._loaded[key] = model
        while len(self._loaded) > MOST_LOADED:
            self._loaded.pop(next(iter(self._loaded)))
        return model

    def score(
        self,
        name: str,
        values: Parameters,
        images: list[Image],
        prompts: list[str],
        meanwhile: Callable[[], object] = lambda: None,
    ) -> list[float]:
        """One finite score per image, in time; raises RewardFailed. `meanwhile` is called often."""
        model = self.load(name, values, meanwhile)

        def work() -> list[float]:
            return checked(name, model.score(images, prompts), len(images))

        return self._in_time(name, SCORE_LIMIT_S, work, meanwhile)

    def _build(
        self, known: RewardEntry, filled: Mapping[str, str], meanwhile: Callable[[], object]
    ) -> RewardModel:
        if sentence := known.fault(self._settings, filled):
            raise Refused(sentence, "reward_unavailable")

        def build() -> RewardModel:
            module: Any = import_module(known.module)
            built: RewardModel = module.build(known.name, self._settings, filled, self._device)
            return built

        return self._in_time(known.name, LOAD_LIMIT_S, build, meanwhile)

    def _in_time(
        self, name: str, limit_s: float, work: Callable[[], T], meanwhile: Callable[[], object]
    ) -> T:
        """Do it in a thread of its own: what never ends is left behind, and says so when asked."""
        if name in self._under_way and not _ends(*self._under_way[name], meanwhile):
            raise RewardFailed(
                f"The reward {name} is still busy with what it was given before and answers "
                "nothing. Mend it and start the studio anew, or give it no weight.",
                "reward_busy",
            )
        done: list[T] = []
        failed: list[Exception] = []

        def run() -> None:
            try:
                done.append(work())
            except Exception as error:  # noqa: BLE001 - code from elsewhere: raised again below
                failed.append(error)

        thread = Thread(target=run, daemon=True, name=f"reward {name}")
        thread.start()
        self._under_way[name] = (thread, time.monotonic() + limit_s)
        if not _ends(*self._under_way[name], meanwhile):
            raise RewardFailed(
                f"The reward {name} took longer than {limit_s:g} seconds. {_NEXT_STEP}.",
                "reward_timeout",
            )
        if failed:
            _raise_in_words(name, failed[0])
        return done[0]


def _ends(thread: Thread, end: float, meanwhile: Callable[[], object]) -> bool:
    """Whether the thread ends before `end`, on the monotonic clock."""
    while thread.is_alive() and time.monotonic() < end:
        thread.join(min(_LOOK_S, max(0.0, end - time.monotonic())))
        if thread.is_alive():
            meanwhile()
    return not thread.is_alive()


def checked(name: str, found: object, count: int) -> list[float]:
    """Scores as finite numbers, one per picture; raises RewardFailed for anything else."""
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise _wrong(name, f"gave {_article(found)}, where {count} numbers were asked for")
    scores = list(islice(found, count + 1))
    if len(scores) != count:
        many = "too many" if len(scores) > count else f"{len(scores)}"
        raise _wrong(name, f"gave {many} scores for {count} pictures")
    try:
        values = [_number(score) for score in scores]
    except (TypeError, ValueError):
        raise _wrong(name, "gave scores that are no numbers") from None
    if not all(map(math.isfinite, values)):
        raise _wrong(name, "gave a score that is no number")
    return values


def _number(score: Any) -> float:
    if isinstance(score, str | bytes):
        raise TypeError("a text is no score")
    return float(score)


def _wrong(name: str, what: str) -> RewardFailed:
    return RewardFailed(
        f"The reward {name} {what}, so none of its scores of this group were kept. {_NEXT_STEP}.",
        "bad_scores",
        lasting=False,
    )


def _article(found: object) -> str:
    return "nothing" if found is None else f"a {type(found).__name__}"


def _raise_in_words(name: str, error: Exception) -> NoReturn:
    if isinstance(error, StudioError):
        raise error
    lines = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    raise RewardFailed(
        f"The reward {name} failed ({what[:200].rstrip('.')}). {_NEXT_STEP}."
    ) from error
