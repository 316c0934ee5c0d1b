"""Job `fit_reward`: a reward learned from the project's ratings, and what it thinks of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as Picture
from safetensors.numpy import load, save

from loop_studio.errors import Refused
from loop_studio.jobs import pictures
from loop_studio.jobs.bench import Bench
from loop_studio.judgement import LEARNED
from loop_studio.rewards.clip_features import ClipFeatures
from loop_studio.rewards.learned import Fit, Judgement, Standard, disagreement, fit, validate
from loop_studio.rewards.trust import lacking, trust
from loop_studio.storage import groups, learned, projects, scores
from loop_studio.storage.files import new_key
from loop_studio.storage.learned import Judged, NewFit
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Image, Job, RewardFit

_AT_ONCE = 32  # pictures to a pass, or groups between two looks at who waits

Array = NDArray[np.float64]


def run(bench: Bench, job: Job) -> None:
    """Learn anew from all judgements, then say which of the open groups would teach most."""
    assert job.project_id is not None
    bench.between(job, "learning what people like", 0, 1)
    refit(bench, job.project_id)
    appraise_open(bench, job)
    learned.finish(bench.db, job)


def refit(bench: Bench, project_id: str) -> RewardFit:
    """One attempt to learn, kept with a sentence where it came to nothing."""
    last = learned.last_sequence(bench.db, project_id)
    judged = learned.judgements(bench.db, project_id)
    rows = {image_id: row for row, image_id in enumerate(_images_of(judged))}
    judgements = [_judgement(one, rows) for one in judged]
    told = {"ratings": len(judged), "groups": len({one.group for one in judgements})}
    if sentence := lacking(judgements):
        nothing = NewFit(None, last, **told, validation={}, contributes=False, sentence=sentence)
        return learned.record(bench.db, project_id, nothing)
    seen = _features(bench, learned.images(bench.db, list(rows)))
    features = np.stack([seen[image_id] for image_id in rows])
    found = fit(features, judgements, seed=_seed(project_id))
    validation = validate(features, judgements)
    trusted = trust(validation, told["groups"])
    new = NewFit(
        file=bench.files.put(new_key(".safetensors"), pack(found)),
        last_sequence=last,
        **told,
        validation=trusted.values(validation),
        contributes=trusted.contributes,
        sentence=trusted.sentence,
    )
    return learned.record(bench.db, project_id, new)


def counts(bench: Bench, project_id: str, weights: RewardWeights) -> bool:
    """Whether an update learns from it, after it has learned from all that has arrived.

    Raises Refused where nothing else would count.
    """
    if not weights.models.get(LEARNED):
        return False
    if learned.waiting(bench.db, project_id):
        refit(bench, project_id)
    row = learned.in_force(bench.db, project_id)
    if row is not None and row.contributes:
        return True
    if weights.automatic_only and not weights.sources():
        latest = row or learned.latest(bench.db, project_id)
        why = latest.sentence if latest else lacking([])
        raise Refused(f"The learned reward does not count yet. {why}", "reward_not_ready")
    return False


@dataclass(frozen=True)
class Learned:
    """A fit as a reward model."""

    version: str
    fit: Fit

    def score(self, images: list[Picture], prompts: list[str]) -> list[float]:
        """How much each is expected to be liked."""
        features = _extractor().extract(images, prompts).astype(float)
        return [float(utility) for utility in self.fit.utilities(features)]


def in_force(bench: Bench, project_id: str) -> Learned:
    """What the project has learned; raises Refused while that is nothing."""
    row = learned.in_force(bench.db, project_id)
    if row is None:
        raise Refused(f"There is no learned reward yet. {lacking([])}", "reward_not_ready")
    return Learned(f"fit-{row.number}", unpack(bench, row))


def appraise_open(bench: Bench, job: Job) -> None:
    """`appraise` the job's project's groups that may still be served."""
    assert job.project_id is not None
    waiting = learned.open_groups(bench.db, job.project_id)
    for first in range(0, len(waiting), _AT_ONCE):
        bench.between(job, "looking at groups", first, len(waiting))
        appraise(bench, job.project_id, waiting[first : first + _AT_ONCE])


def appraise(bench: Bench, project_id: str, group_ids: Sequence[str]) -> None:
    """Store how much a judgement of each group would tell the members that still disagree.

    Members are those of the fit; before there is one, the automatic rewards of the mix.
    """
    told = {}
    row = learned.in_force(bench.db, project_id)
    found = unpack(bench, row) if row else None
    for group_id in group_ids:
        images = groups.images(bench.db, group_id)
        if found is not None:
            seen = _features(bench, images)
            opinions = found.spread(np.stack([seen[image.id] for image in images]))
        else:
            opinions = _automatic_opinions(bench, project_id, images)
        if len(opinions) > 1:
            told[group_id] = disagreement(opinions)
    learned.set_informativeness(bench.db, told)


def pack(found: Fit) -> bytes:
    """A fit as the bytes of a safetensors file."""
    return save(
        {
            "mean": found.standard.mean,
            "scale": found.standard.scale,
            "weights": found.weights,
            "threshold": np.array([found.threshold]),
            "members": found.members,
        }
    )


def unpack(bench: Bench, row: RewardFit) -> Fit:
    """The fit that a row names."""
    with bench.files.open(row.key or "") as file:
        parts = load(file.read())
    standard = Standard(parts["mean"], parts["scale"])
    return Fit(standard, parts["weights"], float(parts["threshold"][0]), parts["members"])


def _automatic_opinions(bench: Bench, project_id: str, images: Sequence[Image]) -> Array:
    """Scores that the mix's models gave all these images already, (M, k), on one scale."""
    weighted = projects.reward(bench.db, project_id).sources().keys()
    ids = [image.id for image in images]
    opinions = []
    for values in scores.latest_by_source(bench.db, ids, weighted).values():
        if len(values) == len(ids):
            own = np.array([values[image_id] for image_id in ids])
            opinions.append((own - own.mean()) / max(float(own.std()), 1e-9))
    return np.array(opinions)


def _features(bench: Bench, images: Sequence[Image]) -> dict[str, Array]:
    """Features by image id; those not yet known are extracted and kept."""
    extractor = _extractor()
    ids = [image.id for image in images]
    known = learned.features(bench.db, ids, extractor.version)
    lacking = [image for image in images if image.id not in known]
    for first in range(0, len(lacking), _AT_ONCE):
        some = lacking[first : first + _AT_ONCE]
        opened = [pictures.opened(bench.files, image.key) for image in some]
        rows = extractor.extract(opened, [image.prompt for image in some])
        new = {image.id: row.tobytes() for image, row in zip(some, rows, strict=True)}
        learned.put_features(bench.db, extractor.version, new)
        known |= new
    return {name: np.frombuffer(row, np.float16).astype(float) for name, row in known.items()}


@cache
def _extractor() -> ClipFeatures:
    return ClipFeatures()


def _images_of(judged: Sequence[Judged]) -> list[str]:
    return list(dict.fromkeys(image for one in judged for image in one.rewards))


def _judgement(one: Judged, rows: dict[str, int]) -> Judgement:
    return Judgement(
        group=one.group_id,
        mode=one.mode,
        rows=tuple(rows[image] for image in one.rewards),
        rewards=tuple(one.rewards.values()),
        at_random=one.at_random,
    )


def _seed(project_id: str) -> int:
    return int.from_bytes(sha256(project_id.encode()).digest()[:4], "big")
