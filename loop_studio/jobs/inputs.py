"""What an update learns from: claimed groups, their judgements, and the frozen source scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loop_studio.errors import Refused
from loop_studio.jobs.bench import Bench
from loop_studio.jobs.rollout import Order, groups_per_pass, make_groups
from loop_studio.jobs.score import score_images
from loop_studio.judgement import advantages
from loop_studio.rewards.catalogue import entry
from loop_studio.rewards.model import load
from loop_studio.storage import groups, projects, prompts, scores, updates, versions
from loop_studio.storage.projects import Revision
from loop_studio.storage.refilling import NO_PROMPTS
from loop_studio.storage.schema import Group, Job, Update, UpdateInput
from loop_studio.storage.updates import NewInput

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
    for step, group in enumerate(claimed):
        bench.between(job, "scoring", step, len(claimed))
        for source in sources:
            score_images(bench, source, groups.images(bench.db, group.id))
    scales = {source: _scale(bench, update, source) for source in sources}
    lags = {
        version: versions.lag(bench.db, version, update.parent_id)
        for version in {group.version_id for group in claimed}
    }
    lag_of = {group.id: lags[group.version_id] for group in claimed}
    new = list(_human_inputs(bench, claimed, revision.reward.human, lag_of))
    for source, weight in sources.items():
        new += _automatic_inputs(bench, claimed, source, weight / scales[source], lag_of)
    return claimed, updates.record_inputs(bench.db, update.id, new, scales)


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


def _human_inputs(
    bench: Bench, claimed: Sequence[Group], weight: float, lag_of: dict[str, int]
) -> Iterator[NewInput]:
    if weight == 0:
        return
    for row in updates.judgements(bench.db, [group.id for group in claimed]):
        pushes = advantages(row.mode, list(row.rewards.values()))
        for (image_id, reward), push in zip(row.rewards.items(), pushes, strict=True):
            yield NewInput(
                group_id=row.group_id,
                image_id=image_id,
                source="human",
                rater_id=row.rater_id,
                rating_sequence=row.sequence,
                mode=row.mode,
                reward=reward,
                source_weight=weight,
                advantage=weight * push,
                lag=lag_of[row.group_id],
            )


def _automatic_inputs(
    bench: Bench, claimed: Sequence[Group], source: str, weight: float, lag_of: dict[str, int]
) -> Iterator[NewInput]:
    for group in claimed:
        found = score_images(bench, source, groups.images(bench.db, group.id))
        if len(set(found.values())) < 2:
            continue
        pushes = advantages("score", list(found.values()))
        for (image_id, score), push in zip(found.items(), pushes, strict=True):
            yield NewInput(
                group_id=group.id,
                image_id=image_id,
                source=source,
                rater_id=None,
                rating_sequence=None,
                mode="score",
                reward=score,
                source_weight=weight,
                advantage=weight * push,
                lag=lag_of[group.id],
            )
