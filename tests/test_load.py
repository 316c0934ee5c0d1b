"""Many raters at once while the worker trains: nothing is lost, and nobody waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load import LEAST_SHARE, P95_MS, run


@pytest.mark.soak
def test_fifty_raters_lose_nothing_and_wait_for_nothing(tmp_path: Path) -> None:
    found = run(tmp_path / "data", groups=500, raters=50, seconds=180, every=2)
    assert found["judgements"] >= LEAST_SHARE * found["possible"], found
    assert set(found["statuses"]) == {"200"}, found
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["milliseconds"]["rating"]["p95"] <= P95_MS, found
    assert found["updates"] >= 1


@pytest.mark.soak
def test_a_hundred_raters_lose_nothing_when_the_web_process_is_killed(tmp_path: Path) -> None:
    found = run(tmp_path / "data", groups=500, raters=100, seconds=300, every=2, kill=True)
    assert found["unanswered"] > 0, "nobody noticed"
    assert (found["lost"], found["doubled"], found["left_in_outboxes"]) == (0, 0, 0), found
    assert found["judgements"] >= LEAST_SHARE * found["possible"], found
    assert set(found["statuses"]) <= {"200", "204"}, found
    assert found["updates"] >= 1


def test_ten_raters_at_once_lose_nothing_while_the_worker_trains(tmp_path: Path) -> None:
    found = run(tmp_path / "data", groups=16, raters=10, seconds=10, every=1)
    assert found["judgements"] > 30, found
    assert set(found["statuses"]) <= {"200", "204"}, found  # 204: all groups are held by others
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["updates"] >= 1
