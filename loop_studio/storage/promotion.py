"""Going live: at once, or, where a project says so, once blind pairs prefer the new version.

Under `promotion` = "pairs" a version that grew from the live one waits as a candidate. Its win rate
is looked at after 20, 40, 80 and 160 pairs, not after each: whoever looks all the time will
sometime see what they hope for. By simulation (20,000 runs each) a version that wins half its pairs
goes live in 6.5 % of the cases, one that wins 45 % in 1 %, 60 % in 76 %, 65 % in 98 %; a look
after every pair would let 15 % of the equal ones pass. The compare-and-swap stays: a candidate
goes live only from the version that it was compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from loop_studio.storage import audit, pairs
from loop_studio.storage.database import Database, changed
from loop_studio.storage.groups import retire_stale
from loop_studio.storage.projects import Revision
from loop_studio.storage.schema import Group, Project, Update, Version

LOOKS = (20, 40, 80, 160)  # pairs judged


def make_live(session: Session, project: Project, version: Version) -> None:
    """Swap what is live, and retire groups that are off its line or far behind it.

    Who waited to be preferred to the version that was live, or for someone's word, waits no more.
    """
    project.live_version_id = version.id
    audit.note(session, "version", f"Version {version.number} went live.", project.id)
    project.generation_error = None
    end_waiting(session, project.id)
    retire_stale(session, project)


def end_waiting(session: Session, project_id: str) -> None:
    """No version of the project is a candidate any longer, or waits for someone's word."""
    waits = or_(Version.awaits_pairs, Version.awaits_decision)
    for version in session.scalars(select(Version).where(Version.project_id == project_id, waits)):
        version.awaits_pairs = version.awaits_decision = False


@dataclass(frozen=True)
class Waiting:
    """A candidate: how many of its pairs are judged, and at how many it is looked at next."""

    judged: int
    next_look: int


def waiting(db: Database, project_id: str) -> dict[str, Waiting]:
    """By version id: the candidates of a project."""
    with db.read() as session:
        wanted = select(Version).where(Version.project_id == project_id, Version.awaits_pairs)
        judged = {row.id: pairs.win_rate(session, row).total for row in session.scalars(wanted)}
    return {
        version_id: Waiting(count, next((look for look in LOOKS if look > count), LOOKS[-1]))
        for version_id, count in judged.items()
    }


def decide(session: Session, project: Project, revision: Revision, judged: Group) -> None:
    """After a judgement of a pair: the candidate goes live, goes on waiting, or is given up.

    It goes live where Wilson's lower bound of its win rate reaches a half, and is given up where
    the upper bound falls below, or at the last look.
    """
    if judged.kind != "pair" or revision.config.promotion != "pairs":
        return
    version = pairs.candidate(session, project)
    if version is None or version.id != judged.version_id:
        return
    rate = pairs.win_rate(session, version)
    if rate.total not in LOOKS:
        return
    low, high = rate.interval()
    if low >= 0.5:
        with audit.acting(audit.STUDIO):
            make_live(session, project, version)
        made = update(Update).where(Update.id == version.update_id)
        changed(session, made.values(made_live=True))
    elif high < 0.5 or rate.total == LOOKS[-1]:
        version.awaits_pairs = False
