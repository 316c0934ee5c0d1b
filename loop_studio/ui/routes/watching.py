"""The studio as a whole: how it is, and what browsers report of themselves."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from loop_studio.storage import figures, watching
from loop_studio.ui.attention import attention
from loop_studio.ui.room import room
from loop_studio.ui.wire import Answer, Body, Configured, Db, Time, WorkerReport

router = APIRouter(tags=["studio"])

LONGEST_MS = 86_400_000
MOST_VALUES = 200  # of one figure in one report
MOST_COUNTED = 10_000

Milliseconds = Annotated[
    list[Annotated[float, Field(ge=0, le=LONGEST_MS, allow_inf_nan=False)]],
    Field(max_length=MOST_VALUES),
]
Counted = Annotated[int, Field(ge=0, le=MOST_COUNTED)]


class Figures(Body):
    """What a browser measured since its last report."""

    key_to_paint: Milliseconds = Field(default_factory=list)
    rating_to_durable: Milliseconds = Field(default_factory=list)
    wait_for_group: Milliseconds = Field(default_factory=list)
    outbox_retries: Counted = 0
    lost_events: Counted = 0


class QueueState(Answer):
    """The jobs of one kind that are not at their end."""

    kind: str
    queued: int
    running: int
    oldest_s: float


class Latency(Answer):
    """Median and 95th percentile of one latency on one day (UTC)."""

    day: date
    name: Literal["key_to_paint", "rating_to_durable", "wait_for_group"]
    count: int
    p50_ms: float
    p95_ms: float


class Memory(Answer):
    """What the worker holds, in bytes; null where it has said nothing of it."""

    process_bytes: int | None
    accelerator_bytes: int | None


class Disk(Answer):
    """The disk under the data folder."""

    free_bytes: int
    size_bytes: int


class StudioStatus(Answer):
    """The studio at this moment; `attention` says in plain sentences what someone should do."""

    attention: list[str]
    worker: WorkerReport
    memory: Memory
    queues: list[QueueState]
    latencies: list[Latency]
    outbox_retries: int
    lost_events: int
    ratings: int
    groups_ready: int
    disk: Disk
    last_backup_at: Time | None


@router.get("/status")
def status(db: Db, settings: Configured) -> StudioStatus:
    """Worker, queue, disk, backup, what raters felt, and what needs attention."""
    now, disk = watching.snapshot(db), room(settings)
    days = figures.by_day(db)
    _, counters = figures.totals(db)
    return StudioStatus(
        attention=attention(now, disk, days),
        worker=WorkerReport.model_validate(now.worker),
        memory=Memory(
            process_bytes=now.worker.memory_bytes, accelerator_bytes=now.worker.accelerator_bytes
        ),
        queues=[QueueState.model_validate(queue) for queue in now.queues],
        latencies=[Latency.model_validate(day) for day in days],
        **counters,
        ratings=now.ratings,
        groups_ready=sum(project.ready_groups for project in now.projects),
        disk=Disk(free_bytes=disk.free, size_bytes=disk.size),
        last_backup_at=disk.last_backup_at,
    )


@router.post("/figures", status_code=204, response_class=Response)
def report(db: Db, new: Figures) -> None:
    """Count what a browser measured; nothing tells whose it is."""
    told = new.model_dump()
    figures.record(
        db,
        {name: told[name] for name in figures.LATENCIES},
        {name: told[name] for name in figures.COUNTERS},
    )
