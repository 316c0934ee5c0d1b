"""Updates: queued, claimed, published or given up, each in one transaction with its job.

At most one update of a project is queued or running at a time; the database itself sees to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict
from loop_studio.storage import audit, auto_update, jobs, retraining, samples
from loop_studio.storage.control import Wish as Wish
from loop_studio.storage.control import cancel as cancel
from loop_studio.storage.control import park as park
from loop_studio.storage.control import pause as pause
from loop_studio.storage.control import resume as resume
from loop_studio.storage.control import stop as stop
from loop_studio.storage.control import wish as wish
from loop_studio.storage.curves import Curves
from loop_studio.storage.database import Database, changed, found
from loop_studio.storage.files import StoredFile
from loop_studio.storage.guard import Checked
from loop_studio.storage.lateness import Lateness as Lateness
from loop_studio.storage.lateness import lateness as lateness
from loop_studio.storage.lateness import record_lateness as record_lateness
from loop_studio.storage.projects import keep_active, revision_of
from loop_studio.storage.publishing import publish_in
from loop_studio.storage.schema import ACTIVE, Job, Project, Update, UpdateCurves, Version, now
from loop_studio.storage.status import too_few_reason
from loop_studio.storage.update_inputs import JudgementRow as JudgementRow
from loop_studio.storage.update_inputs import NewInput as NewInput
from loop_studio.storage.update_inputs import claim_groups as claim_groups
from loop_studio.storage.update_inputs import claimable as claimable
from loop_studio.storage.update_inputs import exclude_groups as exclude_groups
from loop_studio.storage.update_inputs import groups_of as groups_of
from loop_studio.storage.update_inputs import inputs as inputs
from loop_studio.storage.update_inputs import judgements as judgements
from loop_studio.storage.update_inputs import past_rewards as past_rewards
from loop_studio.storage.update_inputs import record_inputs as record_inputs
from loop_studio.storage.update_inputs import set_notice as set_notice
from loop_studio.storage.update_logs import log_of as log_of
from loop_studio.storage.update_logs import record_log as record_log


def create(db: Database, project_id: str) -> Update:
    """Queue an update. Raises Conflict `update_active` (with its id) or `too_few_groups`."""
    try:
        with db.write() as session:
            return create_in(session, found(session, Project, project_id, lock=True))
    except IntegrityError:  # another process queued one between our look and our insertion
        with db.read() as session:
            auto_update.refuse_second(session, project_id)
        raise


def get(db: Database, update_id: str) -> Update:
    """One update, or NotFound."""
    with db.read() as session:
        return found(session, Update, update_id)


def active(db: Database, project_id: str) -> Update | None:
    """The project's update that is queued or running, if any."""
    with db.read() as session:
        return auto_update.active_update(session, project_id)


def start(db: Database, update_id: str, job: Job) -> Update:
    """The worker begins, or begins again: `running`, from the version that was live at first.

    Raises LostLease when the update has ended or the job is another worker's.
    """
    with db.write() as session:
        jobs.hold(session, job)
        starting = found(session, Update, update_id, lock=True)
        if starting.status not in ACTIVE:
            raise jobs.LostLease(f"update {update_id} has {starting.status}")
        project = found(session, Project, starting.project_id)
        starting.status, starting.phase = "running", "claiming"
        starting.parent_id = starting.parent_id or project.live_version_id
        starting.started_at = starting.started_at or now()
        return starting


@dataclass(frozen=True)
class Figures:
    """What an update tells beside its step."""

    optimizer_steps: int = 0
    samples_per_s: float | None = None
    memory_bytes: int | None = None
    accelerator_bytes: int | None = None


def progress(
    db: Database,
    job: Job,
    phase: str,
    step: int,
    steps: int,
    eta_s: float | None = None,
    figures: Figures = Figures(),
) -> None:
    """Where the update is, in its own row and in its job's. Raises LostLease."""
    with db.write() as session:
        jobs.report(session, job, phase, step, steps)
        where = {"phase": phase, "step": step, "steps": steps, "eta_s": eta_s}
        moved = update(Update).where(Update.id == job.update_id)
        changed(session, moved.values(**where, **asdict(figures)))


def publish(
    db: Database,
    job: Job,
    update_id: str,
    files: Mapping[str, StoredFile],
    metrics: Mapping[str, Any],
    curves: Curves | None = None,
    checked: Checked | None = None,
) -> Version:
    """Make the update's version, with files that are on disk already, and end update and job.

    The version goes live if the one it started from still is and the guard has `checked` it
    without keeping it back; otherwise it stays a branch and the update's `made_live` is False. Its
    probe wall is queued, and the next update of a retraining. Raises LostLease.
    """
    checked = checked or Checked()
    with db.write() as session:
        jobs.end(session, job, "succeeded")
        done = found(session, Update, update_id, lock=True)
        if done.status not in ACTIVE:
            raise jobs.LostLease(f"update {update_id} has {done.status}")
        version = publish_in(session, done, files, metrics, checked)
        if curves is not None:
            session.add(UpdateCurves(update_id=done.id, **asdict(curves)))
        samples.create_probe(session, version, checked.pictures)
        retraining.go_on(session, done, version)
        return version


def list(
    db: Database, project_id: str, limit: int = 500, before: int | None = None
) -> Sequence[Update]:
    """The newest `limit` updates (with a number below `before`), oldest first."""
    with db.read() as session:
        found(session, Project, project_id)
        wanted = select(Update).where(Update.project_id == project_id)
        if before is not None:
            wanted = wanted.where(Update.number < before)
        newest = session.scalars(wanted.order_by(Update.number.desc()).limit(limit)).all()
    return newest[::-1]


def create_in(session: Session, project: Project) -> Update:
    """`create` within a transaction that holds the project; nothing is written when it refuses."""
    auto_update.refuse_second(session, project.id)
    usable = auto_update.count_usable(session, project.id)
    reason = too_few_reason(session, project.id, revision_of(session, project), usable)
    if reason:
        raise Conflict(reason, "too_few_groups")
    keep_active(project)
    started = auto_update.queue(session, project)
    audit.note(session, "update", f"Started update {started.number}.", project.id)
    return started
