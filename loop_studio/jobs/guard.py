"""The guard's look at what an update learned, before it is published.

The learner draws the start of its own probe wall; its pictures are kept, so that nothing is drawn
twice. Killed meanwhile, the update starts over and ends in the same pictures.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from statistics import fmean, pstdev

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from loop_studio import guard, pixels
from loop_studio.config import ProjectConfig
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.diffusion.recipe import sampler_of
from loop_studio.guard import Figures, Spread
from loop_studio.jobs import content, pictures
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.samples import CLIP_SCORE
from loop_studio.jobs.sources import Source
from loop_studio.rewards.model import CANNOT_SCORE
from loop_studio.rl.tally import KL_TO_BASE
from loop_studio.rl.types import Weights
from loop_studio.shares import Share
from loop_studio.storage import guard as kept
from loop_studio.storage import pairs, projects, samples, versions
from loop_studio.storage.groups import NewImage
from loop_studio.storage.guard import Checked
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Job, Samples, Update, Version

log = logging.getLogger(__name__)

PHASE = "checking_the_result"
PICTURES = 8  # of the probe wall: its first prompts with every seed
CHUNK = 8  # pictures per UNet call: quick enough to let raters in between
LEAST_PAIRS = 20  # judged, before a win rate says anything


def check(
    bench: Bench,
    job: Job,
    update: Update,
    policy: StableDiffusionPolicy,
    config: ProjectConfig,
    kl_to_base: float,
) -> Checked:
    """What the pictures of the learner say; nothing where the guard is off or no prompt is."""
    wall = samples.base_probe(bench.db, update.project_id) if config.guard else None
    if wall is None:
        return Checked()
    reward = projects.revision(bench.db, update.revision_id).reward
    sources = _sources(reward)
    base = _of_base(bench, job, policy, wall, sources)
    _measure_parent(bench, job, update, wall, config, kl_to_base)
    drawn = _draw(bench, job, policy, wall, "learner")
    now = _figures(bench, wall, drawn, kl_to_base, sources)
    trained = [*reward.sources()]
    line = kept.line(bench.db, update.parent_id, config.hacking_versions)
    collapsed, gamed = _alarms(bench, line, now, base, trained, config)
    returns = bool(gamed) and config.on_hacking == "return"
    return Checked(
        pictures=_stored(bench, wall, drawn),
        figures=now.values(),
        concerns=collapsed + gamed,
        is_held=bool(collapsed) or returns,
        return_to=line[0].id if returns else None,
    )


def _alarms(
    bench: Bench,
    line: Sequence[Version],
    now: Figures,
    base: Figures,
    trained: Sequence[str],
    config: ProjectConfig,
) -> tuple[list[str], list[str]]:
    """Sentences on collapse and on reward hacking; `line` ends with the parent."""
    known = [(version.number, kept.figures_of(version)) for version in line]
    _, parent = known[-1]
    collapsed = guard.collapse(now, parent, base, trained, config)
    rates = pairs.win_rates(bench.db, line[0].project_id)
    disliked = [version.number for version in line if _loses(rates.get(version.id))]
    watched = [*known, (known[-1][0] + 1, now)]
    return collapsed, guard.hacking(watched, base, trained, config, disliked)


def _loses(rate: Share | None) -> bool:
    """Whether a version loses most of its blind pairs against its parent."""
    return rate is not None and rate.total >= LEAST_PAIRS and rate.interval()[1] < 0.5


def _sources(reward: RewardWeights) -> list[Source]:
    """The rewards to score by, as the probe wall is: the project's own, and the CLIP score."""
    wanted = {CLIP_SCORE: reward.parameters.get(CLIP_SCORE, {}), **reward.sources()}
    sources = [Source(name, values) for name, values in sorted(wanted.items())]
    return [source for source in sources if not source.entry.groupwise]


def _of_base(
    bench: Bench,
    job: Job,
    policy: StableDiffusionPolicy,
    wall: Samples,
    sources: Sequence[Source],
) -> Figures:
    """Version 0's figures: measured once, and again when a reward is new."""
    base = versions.get(bench.db, wall.version_id)
    known = kept.figures_of(base) if kept.FIGURES in base.metrics else None
    if known is not None and {source.name for source in sources} <= known.rewards.keys():
        return known
    drawn = _draw(bench, job, policy, wall, "base")
    if not samples.get(bench.db, wall.id)[1]:
        samples.add_images(bench.db, wall.id, _stored(bench, wall, drawn))
    figures = _figures(bench, wall, drawn, 0.0, sources)
    versions.set_metrics(bench.db, base.id, {kept.FIGURES: figures.values()})
    return figures


def _measure_parent(
    bench: Bench, job: Job, update: Update, wall: Samples, config: ProjectConfig, kl_to_base: float
) -> None:
    """What the parent looks like, where the guard never looked: it was brought in, or off then.

    How far such a one is from the base is not known; it counts as far as the version itself.
    """
    parent = versions.get(bench.db, update.parent_id)
    if kept.FIGURES in parent.metrics:
        return
    project = projects.get(bench.db, update.project_id)
    slot: Weights = "live" if parent.id == project.live_version_id else "archive"
    policy = bench.models.ready(project, config, slot, parent)
    drawn = _draw(bench, job, policy, wall, slot)
    sources = _sources(projects.revision(bench.db, update.revision_id).reward)
    known = parent.metrics.get(KL_TO_BASE, kl_to_base)
    figures = _figures(bench, wall, drawn, known, sources)
    versions.set_metrics(bench.db, parent.id, {kept.FIGURES: figures.values()})


def _draw(
    bench: Bench, job: Job, policy: StableDiffusionPolicy, wall: Samples, weights: Weights
) -> NDArray[np.uint8]:
    """The first pictures of the probe wall under some weights: (N, H, W, 3)."""
    sampler = sampler_of(projects.revision(bench.db, wall.revision_id).config)
    cells = samples.cells(wall)[:PICTURES]
    drawn = []
    for first in range(0, len(cells), CHUNK):
        bench.between(job, PHASE, first, len(cells))
        prompts, seeds = zip(*cells[first : first + CHUNK], strict=True)
        drawn.append(policy.sample(prompts, seeds, sampler, weights))
    return np.concatenate(drawn)


def _stored(bench: Bench, wall: Samples, drawn: NDArray[np.uint8]) -> list[NewImage]:
    prompts, seeds = zip(*samples.cells(wall)[: len(drawn)], strict=True)
    project = projects.get(bench.db, wall.project_id)
    verdicts = content.verdicts(bench, project, drawn)
    return pictures.store(bench.files, drawn, seeds, prompts, verdicts)


def _figures(
    bench: Bench,
    wall: Samples,
    drawn: NDArray[np.uint8],
    kl_to_base: float,
    sources: Sequence[Source],
) -> Figures:
    prompts = [prompt for prompt, _ in samples.cells(wall)[: len(drawn)]]
    images = [Pictures.fromarray(picture) for picture in drawn]
    return Figures(
        pictures=len(drawn),
        broken=float(pixels.broken(drawn).mean()),
        diversity=pixels.diversity(drawn, prompts),
        kl_to_base=kl_to_base,
        rewards=_scores(bench, images, prompts, sources),
    )


def _scores(
    bench: Bench, images: list[Pictures.Image], prompts: list[str], sources: Sequence[Source]
) -> dict[str, Spread]:
    """By reward. One that fails is left out: it shall not fail the update."""
    scores = {}
    for source in sources:
        try:
            values = source.score(bench, images, prompts)
        except CANNOT_SCORE as error:
            log.warning("the guard goes without %s: %s", source.name, error.detail)
            continue
        scores[source.name] = Spread(fmean(values), pstdev(values))
    return scores
