"""What an update learns from: claimed groups, their judgements, and the frozen source scales."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from loop_studio.diffusion.recipe import groups_per_pass
from loop_studio.errors import Refused, StudioError
from loop_studio.estimators import STANDARDISED, Judged, estimate, judge_of
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.rollout import Order, make_groups
from loop_studio.jobs.score import is_lasting, score_images
from loop_studio.jobs.sources import Source, counting
from loop_studio.judgement import LEARNED
from loop_studio.rewards.model import CANNOT_SCORE
from loop_studio.storage import groups, projects, prompts, scores, updates, versions
from loop_studio.storage.projects import Revision
from loop_studio.storage.refilling import NO_PROMPTS
from loop_studio.storage.schema import Group, Image, Job, Update, UpdateInput
from loop_studio.storage.updates import NewInput

log = logging.getLogger(__name__)

LEAST_SD = 1e-6
WAITING = "Groups that could not be scored and wait for the next update: {count}. {why}"


def claim_inputs(bench: Bench, job: Job, update: Update) -> tuple[list[Group], list[UpdateInput]]:
    """The update's groups and inputs, recorded once: a resumed update reads the same again."""
    revision = projects.revision(bench.db, update.revision_id)
    recorded = updates.inputs(bench.db, update.id)
    if recorded:
        return updates.groups_of(bench.db, update.id), recorded
    reward = revision.reward
    sources = counting(bench, update.project_id, reward)
    if reward.automatic_only or LEARNED in {source.name for source in sources}:
        _make_lacking_groups(bench, job, update, revision)
    claimed = updates.claim_groups(bench.db, update.id)
    claimed = _scored(bench, job, update, claimed, sources)
    scales = {source.name: _scale(bench, update, source) for source in sources}
    judgements = list(_human_judgements(bench, claimed)) if reward.human else []
    judged = {one.group.id for one in judgements}
    for source in sources:
        # Where people have judged, nobody needs to guess how they would.
        unjudged = [group for group in claimed if group.id not in judged]
        asked = unjudged if source.name == LEARNED else claimed
        judgements += _automatic_judgements(bench, asked, source)
    weights = {"human": reward.human, **reward.models}
    if revision.config.estimator not in STANDARDISED:
        weights |= {name: reward.models[name] / scale for name, scale in scales.items()}
    return claimed, updates.record_inputs(
        bench.db, update.id, _inputs(bench, update, revision, claimed, judgements, weights), scales
    )


def _scored(
    bench: Bench, job: Job, update: Update, claimed: list[Group], sources: Sequence[Source]
) -> list[Group]:
    """The claimed groups, every image of which has its scores; the others wait on.

    Raises the reward's own error when no group has all of its scores.
    """
    kept: list[Group] = []
    waiting: list[str] = []
    failure: StudioError | None = None
    for step, group in enumerate(claimed):
        report = partial(bench.between, job, "scoring", step, len(claimed))
        report()
        try:
            if failure is not None and is_lasting(failure):
                raise failure
            for source in sources:
                score_images(bench, source, _in_sight(bench, group), report)
            kept.append(group)
        except CANNOT_SCORE as error:
            failure = error
            waiting.append(group.id)
    if failure is None:
        return kept
    log.warning("%d groups wait: %s", len(waiting), failure.detail)
    if not kept:
        raise failure
    updates.exclude_groups(bench.db, update.id, waiting, None)
    updates.set_notice(bench.db, update.id, WAITING.format(count=len(waiting), why=failure.detail))
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
    """With rewards that need nobody, an update makes the groups it lacks.

    Beside people it fills up to the most it may take with groups for the learned reward alone.
    """
    wanted = most = revision.config.max_groups_per_update
    if revision.reward.automatic_only:
        wanted = min(revision.config.auto_update_groups or revision.config.min_groups, most)
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


def _scale(bench: Bench, update: Update, source: Source) -> float:
    """Pooled within-group sd of the source, so that all automatic sources are on one scale."""
    version = source.version(bench)
    measured = scores.within_group_sd(bench.db, update.project_id, source.name, version)
    return max(measured or source.entry.default_sd, LEAST_SD)


def _human_judgements(bench: Bench, claimed: Sequence[Group]) -> Iterator[Judgement]:
    by_id = {group.id: group for group in claimed}
    for row in updates.judgements(bench.db, list(by_id)):
        group = by_id[row.group_id]
        yield Judgement(group, "human", row.mode, row.rewards, row.rater_id, row.sequence)


def _automatic_judgements(
    bench: Bench, claimed: Sequence[Group], source: Source
) -> Iterator[Judgement]:
    mode = "group_score" if source.entry.groupwise else "score"
    for group in claimed:
        found = score_images(bench, source, _in_sight(bench, group))
        if len(found) >= 2:
            yield Judgement(group, source.name, mode, found)


def _in_sight(bench: Bench, group: Group) -> list[Image]:
    """What nobody is shown is not judged, by rewards as little as by people."""
    return [image for image in groups.images(bench.db, group.id) if image.withheld is None]


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
