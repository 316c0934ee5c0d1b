"""Figures of browsers, counted per day, and the studio's own snapshot."""

from __future__ import annotations

import pytest

from loop_studio.storage import figures, watching
from loop_studio.storage.database import Database
from tests.storage.studio import make_group, make_project, publish, rate


def test_percentiles_come_from_buckets(db: Database) -> None:
    figures.record(db, {"key_to_paint": [30.0] * 90 + [900.0] * 10}, {"outbox_retries": 2})
    figures.record(db, {"key_to_paint": []}, {"outbox_retries": 1, "lost_events": 0})
    [today] = figures.by_day(db)
    assert (today.name, today.count) == ("key_to_paint", 100)
    assert 20 <= today.p50_ms <= 35
    assert 750 <= today.p95_ms <= 1000
    latencies, counters = figures.totals(db)
    assert sum(latencies["key_to_paint"].counts) == 100
    assert latencies["key_to_paint"].total_ms == 90 * 30 + 10 * 900
    assert counters == {"outbox_retries": 3, "lost_events": 0}


@pytest.mark.parametrize(("value", "share"), [(0.0, 0.5), (5.0, 0.95), (10**8, 0.5)])
def test_a_percentile_lies_in_its_bucket(db: Database, value: float, share: float) -> None:
    figures.record(db, {"wait_for_group": [value]}, {})
    [today] = figures.by_day(db)
    assert 0 <= today.p50_ms <= max(5.0, min(value, figures.BOUNDS_MS[-1]))


def test_the_snapshot_counts_what_waits(db: Database) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    publish(db, project)
    make_group(db, project)
    now = watching.snapshot(db)
    assert now.worker.state == "none"
    assert now.updates["succeeded"] == 1
    assert len(now.update_s) == 1
    assert now.ratings == 1
    [state] = now.projects
    assert (state.ready_groups, state.is_active, state.trouble) == (1, True, "")
    waiting = {queue.kind: queue.queued for queue in now.queues if queue.queued}
    assert waiting["rollout"] >= 1
