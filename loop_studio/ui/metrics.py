"""What a Prometheus server reads at /metrics.

Requests are counted here; all else is read from the database as it is asked for, the worker's
figures included, so that there is one address to ask. Labels are few and known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.datastructures import State
from starlette.responses import Response

from loop_studio import __version__
from loop_studio.settings import Settings
from loop_studio.storage import figures, watching
from loop_studio.storage.database import Database
from loop_studio.storage.watching import Snapshot
from loop_studio.ui.room import room

PATH = "/metrics"
WORKER_STATES = ("none", "starting", "ready", "busy", "lost")
_UPDATE_S = (10, 30, 60, 120, 300, 600, 1200, 3600)
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_STREAMS = "/gradio_api"  # open as long as a page is: no latency

router = APIRouter(include_in_schema=False)


class Requests:
    """Requests by route template."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts = Counter(
            "loop_studio_http_requests",
            "Requests answered, by method, route template and status.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "loop_studio_http_request_duration_seconds",
            "Time from a request to the end of its answer.",
            ("route",),
            buckets=_REQUEST_S,
            registry=registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self._counts.labels(method, route, str(status)).inc()
        if route != _STREAMS:
            self._seconds.labels(route).observe(seconds)


class Studio(Collector):
    """The studio as the database knows it at the moment of asking."""

    def __init__(self, state: State) -> None:
        self._state = state  # the application's: its settings and its database

    @property
    def _settings(self) -> Settings:
        settings: Settings = self._state.settings
        return settings

    @property
    def _db(self) -> Database:
        db: Database = self._state.database
        return db

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the database is asked when someone reads."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        now = watching.snapshot(self._db)
        yield _gauge("loop_studio_info", "The release.", 1, release=__version__)
        yield from _queue(now)
        yield from _projects(now)
        yield from _updates(now)
        yield from _worker(now)
        yield from self._browsers()
        yield from self._machine()

    def _browsers(self) -> Iterator[Metric]:
        latencies, counters = figures.totals(self._db)
        bounds = [bound / 1000 for bound in figures.BOUNDS_MS]
        told = {
            "key_to_paint": "Time from a rater's key to the next group on screen.",
            "rating_to_durable": "Time from a gesture to the studio's word that it is stored.",
            "wait_for_group": "Time that a rater waited because no group was at hand.",
        }
        for name, words in told.items():
            family = HistogramMetricFamily(f"loop_studio_rater_{name}_seconds", words)
            total = latencies[name]
            family.add_metric([], _cumulative(bounds, total.counts), total.total_ms / 1000)
            yield family
        yield CounterMetricFamily(
            "loop_studio_outbox_retries",
            "Times that a browser had to send an answer again.",
            value=counters["outbox_retries"],
        )
        yield CounterMetricFamily(
            "loop_studio_lost_events",
            "Answers that the studio refused for good; the browser still has them.",
            value=counters["lost_events"],
        )

    def _machine(self) -> Iterator[Metric]:
        disk = room(self._settings)
        yield _gauge("loop_studio_disk_free_bytes", "Free on the data folder's disk.", disk.free)
        yield _gauge("loop_studio_disk_size_bytes", "Size of that disk.", disk.size)
        yield _gauge(
            "loop_studio_last_backup_timestamp_seconds",
            "When the newest backup was made; 0 without one.",
            disk.last_backup_at.timestamp() if disk.last_backup_at else 0,
        )
        waits = self._db.lock_waits
        family = SummaryMetricFamily(
            "loop_studio_database_lock_wait_seconds",
            "Time that the web process waited for the database's write lock.",
        )
        family.add_metric([], count_value=waits.count, sum_value=waits.seconds)
        yield family


def registry(state: State) -> tuple[CollectorRegistry, Requests]:
    """The registry of one web process, and what counts its requests."""
    made = CollectorRegistry()
    made.register(Studio(state))
    return made, Requests(made)


@router.get(PATH)
def metrics(request: Request) -> Response:
    """Every figure in Prometheus' text format."""
    text = generate_latest(request.app.state.metrics)
    headers = {"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
    return Response(text, headers=headers)


def _queue(now: Snapshot) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("loop_studio_jobs", "Jobs that wait or run.", labels=("kind", "state"))
    ages = GaugeMetricFamily(
        "loop_studio_oldest_queued_job_seconds",
        "Since the oldest waiting job of a kind was asked for; 0 without one.",
        labels=("kind",),
    )
    for queue in now.queues:
        jobs.add_metric((queue.kind, "queued"), queue.queued)
        jobs.add_metric((queue.kind, "running"), queue.running)
        ages.add_metric((queue.kind,), queue.oldest_s)
    yield jobs
    yield ages


def _projects(now: Snapshot) -> Iterator[Metric]:
    active = [project for project in now.projects if project.is_active]
    short = sum(not project.ready_groups for project in active)
    troubled = sum(bool(project.trouble) for project in now.projects)
    ready = sum(project.ready_groups for project in now.projects)
    reports = sum(project.open_reports for project in now.projects)
    yield CounterMetricFamily("loop_studio_ratings", "Ratings ever stored.", value=now.ratings)
    yield _gauge("loop_studio_groups_ready", "Groups that could be served at once.", ready)
    yield _gauge("loop_studio_projects_active", "Projects rated in lately.", len(active))
    yield _gauge("loop_studio_projects_without_groups", "Of these: without a ready group.", short)
    yield _gauge("loop_studio_projects_failing", "Projects no group can be made for.", troubled)
    yield _gauge("loop_studio_reports_open", "Reported pictures to decide about.", reports)


def _updates(now: Snapshot) -> Iterator[Metric]:
    updates = GaugeMetricFamily("loop_studio_updates", "Updates by status.", labels=("status",))
    for status, count in now.updates.items():
        updates.add_metric((status,), count)
    yield updates
    took = HistogramMetricFamily(
        "loop_studio_update_duration_seconds", "How long updates took that succeeded."
    )
    counts = [sum(below < s <= bound for s in now.update_s) for below, bound in _ranges()]
    took.add_metric([], _cumulative(_UPDATE_S, counts), sum(now.update_s))
    yield took


def _worker(now: Snapshot) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "loop_studio_worker_state", "1 for the state that the worker is in.", labels=("state",)
    )
    for name in WORKER_STATES:
        state.add_metric((name,), float(now.worker.state == name))
    yield state
    yield _gauge(
        "loop_studio_worker_heartbeat_age_seconds",
        "Since the worker was last heard of; 0 without one.",
        now.worker.heartbeat_age_s or 0,
    )
    yield _gauge(
        "loop_studio_worker_memory_bytes",
        "What the worker's process holds.",
        now.worker.memory_bytes or 0,
    )
    yield _gauge(
        "loop_studio_accelerator_memory_bytes",
        "What the worker holds on its accelerator; 0 on a CPU.",
        now.worker.accelerator_bytes or 0,
    )


def _ranges() -> list[tuple[float, float]]:
    bounds = [-1.0, *_UPDATE_S, float("inf")]
    return list(pairwise(bounds))


def _cumulative(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus wants them: each holds all that lies below its bound."""
    names = [*(str(float(bound)) for bound in bounds), "+Inf"]
    return [(name, float(sum(counts[: place + 1]))) for place, name in enumerate(names)]


def _gauge(name: str, words: str, value: float, **labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=tuple(labels))
    family.add_metric(tuple(labels.values()), value)
    return family
