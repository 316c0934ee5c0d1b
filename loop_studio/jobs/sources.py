"""Where scores come from: a reward model by its name, or what a project's ratings have taught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL.Image import Image

from loop_studio.errors import NotFound
from loop_studio.jobs import learned
from loop_studio.jobs.bench import Bench
from loop_studio.judgement import LEARNED
from loop_studio.rewards.catalogue import RewardEntry, entry
from loop_studio.rewards.model import RewardModel
from loop_studio.storage.projects import RewardWeights


def nothing() -> None:
    """What is done meanwhile where nobody waits."""


@dataclass(frozen=True)
class Source:
    """An automatic reward with a project's parameters."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)
    learned: RewardModel | None = None  # the project's own; else the one that the bench loads

    @property
    def entry(self) -> RewardEntry:
        """What the catalogue says of it; raises NotFound."""
        known = entry(self.name)
        if known is None:
            raise NotFound(f"There is no reward model called {self.name!r}.")
        return known

    def version(self, bench: Bench, meanwhile: Callable[[], object] = nothing) -> str:
        """Names what scores now. Raises one of `CANNOT_SCORE`."""
        model = self.learned or bench.rewards.load(self.name, self.parameters, meanwhile)
        return model.version

    def score(
        self,
        bench: Bench,
        images: list[Image],
        prompts: list[str],
        meanwhile: Callable[[], object] = nothing,
    ) -> list[float]:
        """One finite score per image. Raises one of `CANNOT_SCORE`."""
        if self.learned is not None:
            return self.learned.score(images, prompts)
        return bench.rewards.score(self.name, self.parameters, images, prompts, meanwhile)


def source_of(bench: Bench, project_id: str, name: str, values: dict[str, str]) -> Source:
    """The source called `name`. Raises Refused while a project has learned nothing."""
    own = learned.in_force(bench, project_id) if name == LEARNED else None
    return Source(name, values, own)


def counting(bench: Bench, project_id: str, weights: RewardWeights) -> Sequence[Source]:
    """The sources that an update learns from: a learned reward once it may.

    It learns from all that has arrived first. Raises Refused where nothing would count.
    """
    names = weights.sources()
    if learned.counts(bench, project_id, weights):
        names |= {LEARNED: {}}
    return [source_of(bench, project_id, name, values) for name, values in names.items()]
