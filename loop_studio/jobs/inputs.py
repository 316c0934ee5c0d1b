"""What an update learns from: claimed groups, their judgements, and the frozen source scales."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loop_studio.diffusion.recipe import groups_per_pass
from loop_studio.errors import Refused
from loop_studio.estimators import STANDARDISED, Judged, estimate, judge_of
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.rollout import Order, make_groups
from loop_studio.jobs.score import NotFinite, score_images
from loop_studio.rewards.catalogue import entry
from loop_studio.rewards.model import load
from loop_studio.storage import groups, projects, prompts, scores, updates, versions
from loop_studio.storage.projects import Revision
from loop_studio.storage.refilling import NO_PROMPTS
from loop_studio.storage.schema import Group, Job, Update, UpdateInput
from loop_studio.storage.updates import NewInput

log = logging.getLogger(__name__)

LEAST_SD = 1e-6


def claim_inputs(bench: Bench, job: Job, update: Update) -> tuple[list[Group], list[UpdateInput]]:
    """The update's groups and inputs, recorded once: a resumed update reads the same again."""
    revision = projects.revision(bench.db, update.revision_id)
    recorded = updates.inputs(bench.db, update.id)
    if recorded:
        return updates.groups_of(bench.db, update.id), recorded
    sources = {name: weight for name, weight in revision.reward.models.items() if weight > 0}
    if revision.reward.human == 0:
        _make_lacking_groups(bench, job, update, revision)
    claimed = updates.claim_groups(bench.db, update.id)
    claimed = _scored(bench, job, update, claimed, list(sources))
    scales = {source: _scale(bench, update, source) for source in sources}
    judgements = list(_human_judgements(bench, claimed)) if revision.reward.human else []
    for source in sources:
        judgements += _automatic_judgements(bench, claimed, source)
    weights = {"human": revision.reward.human, **sources}
    if revision.config.estimator not in STANDARDISED:
        weights |= {source: weight / scales[source] for source, weight in sources.items()}
    return claimed, updates.record_inputs(
        bench.db, update.id, _inputs(bench, update, revision, claimed, judgements, weights), scales
    )


def _scored(
    bench: Bench, job: Job, update: Update, claimed: list[Group], sources: Sequence[str]
) -> list[Group]:
    """The claimed groups, every image of which has its scores; others are excluded for good."""
    kept, lost = [], []
    for step, group in enumerate(claimed):
        bench.between(job, "scoring", step, len(claimed))
        try:
            for source in sources:
                score_images(bench, source, groups.images(bench.db, group.id))
            kept.append(group)
        except NotFinite as error:
            log.warning("group %s is excluded: %s", group.id, error.detail)
            lost.append(group.id)
    updates.exclude_groups(bench.db, update.id, lost, "A reward gave it a score that is no number.")
    return kept


@dataclass(frozen=True)
class Judgement:
    """What one rater or source thinks of one group: a reward per image judged."""

    group: Group
    source: str
    mode: str
    rewards: dict[str, float]
    rater_id: str | None = None
    sequence: int | None = None


def _make_lacking_groups(bench: Bench, job: Job, update: Update, revision: Revision) -> None:
    """With automatic rewards only, an update makes the groups it lacks."""
    wanted = revision.config.auto_update_groups or revision.config.min_groups
    wanted = min(wanted, revision.config.max_groups_per_update)
    active = prompts.active(bench.db, update.project_id)
    start = updates.claimable(bench.db, update.project_id)
    if start < wanted and not active:
        raise Refused(NO_PROMPTS, "no_prompts")
    orders = [
        Order(f"{job.id}/{number}", active[(update.number * wanted + number) % len(active)].id)
        for number in range(start, wanted)
    ]
    together = groups_per_pass(revision.config)
    for first in range(0, len(orders), together):
        bench.between(job, "generating", start + first, wanted)
        make_groups(bench, update.project_id, orders[first : first + together])


def _scale(bench: Bench, update: Update, source: str) -> float:
    """Pooled within-group sd of the source, so that all automatic sources are on one scale."""
    known = entry(source)
    assert known is not None
    measured = scores.within_group_sd(bench.db, update.project_id, source, load(source).version)
    return max(measured or known.default_sd, LEAST_SD)


def _human_judgements(bench: Bench, claimed: Sequence[Group]) -> Iterator[Judgement]:
    by_id = {group.id: group for group in claimed}
    for row in updates.judgements(bench.db, list(by_id)):
        group = by_id[row.group_id]
        yield Judgement(group, "human", row.mode, row.rewards, row.rater_id, row.sequence)


def _automatic_judgements(
    bench: Bench, claimed: Sequence[Group], source: str
) -> Iterator[Judgement]:
    for group in claimed:
        found = score_images(bench, source, groups.images(bench.db, group.id))
        if len(found) >= 2:
            yield Judgement(group, source, "score", found)


def _inputs(
    bench: Bench,
    update: Update,
    revision: Revision,
    claimed: Sequence[Group],
    judgements: Sequence[Judgement],
    weights: Mapping[str, float],
) -> list[NewInput]:
    """One row per image and judgement with its advantage; none for judgements that push nothing."""
    estimator = revision.config.estimator
    past = updates.past_rewards(bench.db, update.id) if estimator == "ppo" else {}
    pushes = estimate(
        estimator,
        [
            Judged(
                judge_of(one.source, one.rater_id, one.mode),
                one.group.prompt_id,
                one.mode,
                tuple(one.rewards.values()),
            )
            for one in judgements
        ],
        past,
    )
    lags = versions.lags(bench.db, (group.version_id for group in claimed), update.parent_id)
    return [
        NewInput(
            group_id=one.group.id,
            image_id=image_id,
            source=one.source,
            rater_id=one.rater_id,
            rating_sequence=one.sequence,
            mode=one.mode,
            reward=reward,
            source_weight=weights[one.source],
            advantage=weights[one.source] * push,
            lag=lags[one.group.version_id],
        )
        for one, pushed in zip(judgements, pushes, strict=True)
        if any(pushed)
        for (image_id, reward), push in zip(one.rewards.items(), pushed, strict=True)
    ]
