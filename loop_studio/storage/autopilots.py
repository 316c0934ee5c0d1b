"""Autopilot: updates one after another on rewards that need nobody, until a budget is spent.

All of it is a row, which `advance` moves on: the clock in the studio, the loop without pages. A
restart finds it where it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from loop_studio.errors import Conflict, Invalid
from loop_studio.storage import audit, guard, pairs
from loop_studio.storage.auto_update import active_update, count_usable, queue
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import Revision, revision_of
from loop_studio.storage.refilling import lacking_room
from loop_studio.storage.schema import ACTIVE, Autopilot, Project, Update, UpdateInput, now
from loop_studio.storage.status import too_few_reason

OPEN = ("running", "paused")
NEEDS_PEOPLE = (
    "Autopilot learns from rewards that need nobody: choose an automatic or the learned reward "
    "alone, then start it."
)
_ACTIVE = "Autopilot is {state} already; stop it before you start another."
_PEOPLE_NOW = "People's ratings count again, so autopilot waits; resume it once they do not."
_HELD = (
    "The guard keeps a version back, so autopilot waits; decide about it on the Train page, then "
    "resume."
)
_DONE = {
    "paused": "Paused autopilot.",
    "running": "Resumed autopilot.",
    "stopped": "Stopped autopilot.",
}
_CANCELLED = "Update {number} was cancelled, so autopilot waits."


@dataclass(frozen=True)
class Budget:
    """When to stop: at the first of these that is reached."""

    updates: int | None = None
    minutes: float | None = None
    reward: float | None = None  # mean score of the groups that an update learned from

    def checked(self) -> Budget:
        """This budget; Invalid where it could never end or ends before it begins."""
        if self.updates is None and self.minutes is None and self.reward is None:
            raise Invalid("Give autopilot a budget: updates, minutes, or a reward to reach.")
        if self.updates is not None and not 1 <= self.updates <= 100_000:
            raise Invalid("updates must be a whole number from 1 to 100000.")
        if self.minutes is not None and not 0 < self.minutes <= 100_000:
            raise Invalid("minutes must be a number above 0, up to 100000.")
        if self.reward is not None and not math.isfinite(self.reward):
            raise Invalid("reward must be a number.")
        return self


@dataclass(frozen=True)
class Step:
    """Where an autopilot is now, and the update that has just ended well, if one has."""

    autopilot: Autopilot
    done: Update | None


def start(db: Database, project_id: str, budget: Budget) -> Autopilot:
    """Begin; an update that runs already is the first. Raises Conflict or Invalid."""
    budget.checked()
    try:
        with db.write() as session:
            project = found(session, Project, project_id, lock=True)
            _refuse_second(session, project_id)
            revision = revision_of(session, project)
            _check_rewards(session, project, revision, budget)
            running = active_update(session, project_id)
            pilot = Autopilot(
                project_id=project_id,
                most_updates=budget.updates,
                most_minutes=budget.minutes,
                reward_goal=budget.reward,
                update_id=running.id if running else None,
            )
            session.add(pilot)
            audit.note(session, "update", "Started autopilot.", project_id)
            return pilot
    except IntegrityError:  # another process began one between our look and our insertion
        with db.read() as session:
            _refuse_second(session, project_id)
        raise


def latest(db: Database, project_id: str) -> Autopilot | None:
    """The project's newest autopilot."""
    with db.read() as session:
        found(session, Project, project_id)
        return _latest(session, project_id)


def pause(db: Database, autopilot_id: str) -> Autopilot:
    """Queue no further update; the one that runs goes on to its end. Repeatable."""
    return _change(db, autopilot_id, "paused")


def resume(db: Database, autopilot_id: str) -> Autopilot:
    """Go on with what is left of the budget. Repeatable."""
    return _change(db, autopilot_id, "running")


def stop(db: Database, autopilot_id: str) -> Autopilot:
    """End it for good; the update that runs goes on to its end. Repeatable."""
    return _change(db, autopilot_id, "stopped")


def wake(db: Database) -> None:
    """The studio starts: the time while it was away is not charged to any budget."""
    with db.write() as session:
        for pilot in _open(session):
            pilot.looked_at = now()


def tick(db: Database) -> None:
    """Move every open autopilot on."""
    with db.read() as session:
        ids = [pilot.id for pilot in _open(session)]
    for autopilot_id in ids:
        advance(db, autopilot_id)


def advance(db: Database, autopilot_id: str) -> Step:
    """Count the update that has ended, stop when the budget is spent, else queue the next."""
    with db.write() as session:
        known = found(session, Autopilot, autopilot_id)
        project = found(session, Project, known.project_id, lock=True)
        pilot = found(session, Autopilot, autopilot_id, lock=True)
        moment = now()
        if pilot.state == "running":
            pilot.seconds += max(0.0, (moment - pilot.looked_at).total_seconds())
        pilot.looked_at = moment
        done = _settle(session, pilot)
        if pilot.state == "running" and pilot.update_id is None:
            _go_on(session, project, pilot)
        return Step(pilot, done)


def _settle(session: Session, pilot: Autopilot) -> Update | None:
    """The update it waited for, once it has ended well; otherwise it pauses and says why."""
    update = session.get(Update, pilot.update_id) if pilot.update_id else None
    if update is None or update.status in ACTIVE:
        return None
    pilot.update_id = None
    if update.status == "succeeded":
        pilot.updates += 1
        pilot.reward = _mean_score(session, update.id)
        return update
    if pilot.state == "running":
        cancelled = _CANCELLED.format(number=update.number)
        pilot.state = "paused"
        pilot.sentence = cancelled if update.status == "cancelled" else update.error_detail or ""
    return None


def _go_on(session: Session, project: Project, pilot: Autopilot) -> None:
    revision = revision_of(session, project)
    if spent := _spent(pilot):
        pilot.state, pilot.sentence = "finished", spent
    elif not revision.reward.automatic_only:
        pilot.state, pilot.sentence = "paused", _PEOPLE_NOW
    elif lacking_room(session):
        return  # it goes on once there is room
    elif reason := _not_now(session, project, revision):
        pilot.state, pilot.sentence = "paused", reason
    elif guard.holds(session, project):
        pilot.state, pilot.sentence = "paused", _HELD
    elif revision.config.is_quiet(now()):
        return  # it goes on when the quiet hours are over
    elif pairs.candidate(session, project) is None:  # a candidate waits for people's pairs
        running = active_update(session, project.id)
        pilot.update_id = (running or queue(session, project)).id


def _spent(pilot: Autopilot) -> str:
    """Which part of the budget is spent, as a sentence; empty while none is."""
    if pilot.most_updates is not None and pilot.updates >= pilot.most_updates:
        return f"All {pilot.most_updates} updates are done."
    if pilot.most_minutes is not None and pilot.seconds >= 60 * pilot.most_minutes:
        return f"The {pilot.most_minutes:g} minutes are over."
    goal = pilot.reward_goal
    if goal is not None and pilot.reward is not None and pilot.reward >= goal:
        return f"The reward has reached {pilot.reward:.3g}; {goal:g} was asked for."
    return ""


def _check_rewards(session: Session, project: Project, revision: Revision, budget: Budget) -> None:
    if not revision.reward.automatic_only:
        raise Conflict(NEEDS_PEOPLE, "reward_needs_people")
    weighted = [name for name, weight in revision.reward.models.items() if weight > 0]
    if budget.reward is not None and len(weighted) > 1:
        raise Invalid(
            "A reward to reach is the mean score of one reward, and this project mixes "
            f"{len(weighted)}: give updates or minutes instead."
        )
    if reason := _not_now(session, project, revision):
        raise Conflict(reason, "reward_not_ready")


def _not_now(session: Session, project: Project, revision: Revision) -> str:
    usable = count_usable(session, project.id)
    return too_few_reason(session, project.id, revision, usable)


def _mean_score(session: Session, update_id: str) -> float | None:
    wanted = select(func.avg(UpdateInput.reward)).where(UpdateInput.update_id == update_id)
    mean: float | None = session.scalar(wanted)
    return mean


def _change(db: Database, autopilot_id: str, state: str) -> Autopilot:
    with db.write() as session:
        pilot = found(session, Autopilot, autopilot_id, lock=True)
        if pilot.state == state:
            return pilot
        if pilot.state not in OPEN:
            raise Conflict("This autopilot has ended; start another.", "already_finished")
        pilot.state, pilot.sentence, pilot.looked_at = state, "", now()
        audit.note(session, "update", _DONE[state], pilot.project_id)
        return pilot


def _refuse_second(session: Session, project_id: str) -> None:
    known = _latest(session, project_id)
    if known is not None and known.state in OPEN:
        sentence = _ACTIVE.format(state=known.state)
        raise Conflict(sentence, "autopilot_active", autopilot_id=known.id)


def _latest(session: Session, project_id: str) -> Autopilot | None:
    of_project = select(Autopilot).where(Autopilot.project_id == project_id)
    newest = of_project.order_by(Autopilot.created_at.desc(), Autopilot.id).limit(1)
    return session.scalars(newest).one_or_none()


def _open(session: Session) -> list[Autopilot]:
    return list(session.scalars(select(Autopilot).where(Autopilot.state.in_(OPEN))))
