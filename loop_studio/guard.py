"""The guard: how far a version has strayed from version 0, measured against a project's limits.

Pure: figures of a version's probe pictures in, sentences for people out. `strains` puts every
figure on one scale, 0 as version 0 and 1 at the limit. Two alarms are read from them: a version
beyond a limit (collapse), and a training reward that rises while others fall (reward hacking).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

LEAST_RISE = 0.25  # of a training reward, in standard deviations: less may be chance
_TINY = 1e-6

OnHacking = Literal["warn", "return"]


@dataclass(frozen=True)
class GuardLimits:
    """A project's limits. Measured reasons for the defaults: docs/guard.md."""

    guard: Annotated[
        bool,
        Field(
            strict=True,
            description="look at each new version's pictures before it goes live; one beyond the "
            "limits below is kept, but does not go live by itself",
        ),
    ] = True
    guard_broken: Annotated[
        float,
        Field(
            gt=0.0,
            le=1.0,
            description="share of probe pictures that may be blank, blown out or noise, beyond "
            "version 0's",
        ),
    ] = 0.2
    guard_diversity: Annotated[
        float,
        Field(
            gt=0.0,
            le=1.0,
            description="share of version 0's diversity, between pictures of one prompt, that may "
            "be lost",
        ),
    ] = 0.6
    guard_reward: Annotated[
        float,
        Field(
            gt=0.0,
            le=100.0,
            description="how far an automatic reward that is not trained on may fall, in standard "
            "deviations of version 0's pictures",
        ),
    ] = 1.5
    guard_kl: Annotated[
        float,
        Field(gt=0.0, le=10_000.0, description="nats per step that a version may be from the base"),
    ] = 10.0
    hacking_versions: Annotated[
        int,
        Field(ge=1, le=50, description="versions over which a training reward is watched"),
    ] = 3
    hacking_fall: Annotated[
        float,
        Field(
            gt=0.0,
            le=1.0,
            description="share of a limit that may be used up over these versions while the "
            "training reward rises",
        ),
    ] = 0.5
    on_hacking: Annotated[
        OnHacking,
        Field(
            description="what follows when it is used up: a warning, or a return to the last "
            "healthy version, without automatic updates until someone decides"
        ),
    ] = "warn"


LIMITS = tuple(GuardLimits.__dataclass_fields__)


@dataclass(frozen=True)
class Spread:
    """Scores of the probe pictures by one reward."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Figures:
    """What the guard measured on one version's probe pictures."""

    pictures: int
    broken: float  # share that is blank, blown out or noise
    diversity: float
    kl_to_base: float = 0.0  # nats per step
    rewards: dict[str, Spread] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """As JSON, in a version's metrics."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Figures:
        """From a version's metrics."""
        return _FIGURES.validate_python(values)


_FIGURES = TypeAdapter(Figures)


def strains(
    now: Figures, base: Figures, trained: Sequence[str], limits: GuardLimits
) -> dict[str, float]:
    """How much of each limit is used up: 0 as version 0, 1 at the limit, below 0 better.

    Rewards that are trained on are left out: they rise whatever becomes of the pictures.
    """
    lost = 1 - now.diversity / max(base.diversity, _TINY)
    used = {
        "broken": (now.broken - base.broken) / limits.guard_broken,
        "diversity": lost / limits.guard_diversity,
        "kl_to_base": now.kl_to_base / limits.guard_kl,
    }
    falls = {
        name: -rise(name, base, now, base) / limits.guard_reward
        for name in now.rewards.keys() & base.rewards.keys() - set(trained)
    }
    return used | dict(sorted(falls.items()))


def rise(name: str, then: Figures, now: Figures, base: Figures) -> float:
    """Change of a reward's mean, in standard deviations of version 0's pictures."""
    return (now.rewards[name].mean - then.rewards[name].mean) / max(base.rewards[name].sd, _TINY)


def collapse(
    now: Figures,
    parent: Figures,
    base: Figures,
    trained: Sequence[str],
    limits: GuardLimits,
) -> list[str]:
    """A sentence per limit that a version is beyond, unless its parent was as far or further."""
    used = strains(now, base, trained, limits)
    before = strains(parent, base, trained, limits)
    beyond = [name for name, strain in used.items() if strain > max(1.0, before.get(name, 0.0))]
    return [_beyond(name, now, base, limits) for name in beyond]


def hacking(
    line: Sequence[tuple[int, Figures]],
    base: Figures,
    trained: Sequence[str],
    limits: GuardLimits,
    disliked: Sequence[int] = (),
) -> list[str]:
    """A sentence when the training reward rises while others fall; else none.

    `line` has version numbers and figures, oldest first, each the parent of the next; `disliked`
    the versions that lose most of their blind pairs.
    """
    (first, then), (_, now) = line[0], line[-1]
    known = [name for name in trained if all(name in f.rewards for f in (then, now, base))]
    if len(line) < 2 or not known:
        return []
    risen = fmean(rise(name, then, now, base) for name in known)
    before, after = (strains(figures, base, trained, limits) for figures in (then, now))
    fallen = [
        _fall(name, then, now, base)
        for name in after
        if after[name] - before.get(name, 0.0) >= limits.hacking_fall
    ]
    fallen += [f"people prefer the version before version {n}" for n in disliked]
    if risen < LEAST_RISE or not fallen:
        return []
    return [
        f"Since version {first} the training reward ({', '.join(map(_words, known))}) rose by "
        f"{risen:.1f} standard deviations, while {_listed(fallen)}. The model may have found a way "
        "to please the reward and not people."
    ]


def _beyond(name: str, now: Figures, base: Figures, limits: GuardLimits) -> str:
    if name == "broken":
        was, bad = (round(figures.broken * figures.pictures) for figures in (base, now))
        return (
            f"{bad} of {now.pictures} probe pictures are blank, blown out or noise; of version 0 "
            f"it was {was}."
        )
    if name == "diversity":
        lost, most = 1 - now.diversity / base.diversity, limits.guard_diversity
        return (
            f"Pictures of one prompt differ {100 * lost:.0f} % less than version 0's; the limit is "
            f"{100 * most:.0f} %."
        )
    if name == "kl_to_base":
        return (
            f"It is {now.kl_to_base:.1f} nats per step from the base model; the limit is "
            f"{limits.guard_kl:g}."
        )
    return (
        f"{_words(name).capitalize()}, which is not trained on, fell by "
        f"{-rise(name, base, now, base):.1f} standard deviations since version 0; the limit is "
        f"{limits.guard_reward:g}."
    )


def _fall(name: str, then: Figures, now: Figures, base: Figures) -> str:
    if name == "broken":
        return f"{round((now.broken - then.broken) * now.pictures)} more probe pictures broke"
    if name == "diversity":
        return f"diversity fell by {100 * (1 - now.diversity / max(then.diversity, _TINY)):.0f} %"
    if name == "kl_to_base":
        return f"the distance from the base model grew by {now.kl_to_base - then.kl_to_base:.1f}"
    return f"{_words(name)} fell by {-rise(name, then, now, base):.1f}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
