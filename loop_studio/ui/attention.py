"""What someone who runs the studio should look at, in plain sentences; nothing while all is well.

The limits are those of docs/alerts.yml, where there is a sentence for a person and a rule for a
machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from loop_studio.storage.figures import Percentiles
from loop_studio.storage.watching import Snapshot
from loop_studio.ui.room import Room

LEAST_FREE_SHARE = 0.05
BACKUP_WITHIN = timedelta(hours=48)
LONGEST_QUEUED_S = 900
SLOW_MS = {"key_to_paint": 500, "rating_to_durable": 2_000, "wait_for_group": 10_000}
_LEAST_OBSERVED = 20
_SLOW = {
    "key_to_paint": "Raters wait {s:.1f} s from a key to the next group: look at the network and "
    "at the load of this machine.",
    "rating_to_durable": "An answer takes {s:.1f} s until it is stored: look at the disk.",
    "wait_for_group": "Raters wait {s:.0f} s for the next group: raise buffer_groups in the "
    "settings, or use a faster device.",
}


def attention(now: Snapshot, disk: Room, days: Sequence[Percentiles]) -> list[str]:
    """The sentences, the most pressing first."""
    return [*_worker(now), *_projects(now), *_machine(now, disk), *_raters(days)]


def _worker(now: Snapshot) -> Iterator[str]:
    if now.worker.state == "none":
        yield "The worker is not running; start it with: python app.py worker"
    if now.worker.state == "lost":
        yield "The worker has stopped answering; its log says why."
    stuck = [queue for queue in now.queues if queue.oldest_s > LONGEST_QUEUED_S]
    if stuck and now.worker.state in {"ready", "busy"}:
        oldest = max(stuck, key=lambda queue: queue.oldest_s)
        minutes = oldest.oldest_s / 60
        yield f"A job of kind {oldest.kind} has waited {minutes:.0f} minutes; see the Train page."
    if now.failed_lately:
        yield f"Updates that failed within a day: {now.failed_lately}; the Train page says why."


def _projects(now: Snapshot) -> Iterator[str]:
    for project in now.projects:
        if project.trouble:
            yield f"No group can be made in {project.name}: {project.trouble}"
        if project.open_reports:
            yield (
                f"Reported pictures to decide about in {project.name}: {project.open_reports}; "
                "see its settings."
            )


def _machine(now: Snapshot, disk: Room) -> Iterator[str]:
    if now.no_room:
        yield now.no_room
    elif disk.free < LEAST_FREE_SHARE * disk.size:
        yield f"The disk has {disk.free / 1e9:.1f} GB free; make room before it is full."
    if disk.last_backup_at is None:
        yield "There is no backup yet."
    elif datetime.now(UTC) - disk.last_backup_at > BACKUP_WITHIN:
        yield f"The newest backup is of {disk.last_backup_at:%d %B %Y}; make one."


def _raters(days: Sequence[Percentiles]) -> Iterator[str]:
    today = datetime.now(UTC).date()
    for figure in days:
        known = figure.day == today and figure.count >= _LEAST_OBSERVED
        if known and figure.p95_ms > SLOW_MS[figure.name]:
            yield _SLOW[figure.name].format(s=figure.p95_ms / 1000)
