"""Curves: what they hold, where their points lie, and that thinning hides no spike."""

from __future__ import annotations

import pytest

from loop_studio.guard import Figures, Spread
from loop_studio.storage import curves, projects, updates, versions
from loop_studio.storage.curves import Curve, Curves
from loop_studio.storage.database import Database
from loop_studio.storage.guard import Checked
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.schema import Project
from tests.storage.studio import FILES, judge, make_group, make_project, rate, start_update


def by_name(found: list[Curve]) -> dict[str, list[tuple[float, float]]]:
    return {curve.name: [(point.x, point.mean) for point in curve.points] for curve in found}


def publish(db: Database, project: Project, measured: Curves, checked: Checked | None = None):
    rate(db, make_group(db, project))
    update, job = start_update(db, project)
    updates.claim_groups(db, update.id)
    metrics = {"policy/kl_to_base": 0.5}
    return updates.publish(db, job, update.id, FILES, metrics, measured, checked)


def test_thinning_keeps_the_ends_and_every_spike() -> None:
    values = [0.0] * 10_000
    values[4321], values[777] = 9.0, -9.0
    kept = curves.thin(values, 100)
    assert len(kept) <= 100
    assert kept == sorted(set(kept))
    assert {0, 777, 4321, 9_999} <= set(kept)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 500])
def test_thinning_leaves_short_curves_as_they_are_and_never_exceeds(count: int) -> None:
    kept = curves.thin([float(i % 7) for i in range(count)], 10)
    assert len(kept) == min(count, len(kept)) <= 10
    if count <= 10:
        assert kept == [*range(count)]


def test_optimizer_steps_lie_between_versions_and_a_skipped_one_leaves_a_gap(db: Database) -> None:
    project = make_project(db)
    publish(db, project, Curves({"policy/grad_norm": [1.0, 2.0]}, {}))
    publish(db, project, Curves({"policy/grad_norm": [3.0, None, 4.0, 5.0]}, {}))
    found = by_name(curves.of_project(db, project.id, 100))
    assert found["step/policy/grad_norm"] == [(0.5, 1), (1, 2), (1.25, 3), (1.75, 4), (2, 5)]
    assert found["policy/kl_to_base"] == [(1, 0.5), (2, 0.5)]


def test_one_update_is_seen_by_its_own_steps_and_by_denoising_step(db: Database) -> None:
    project = make_project(db)
    columns = {"timestep": [900, 500], "log_ratio_nats": [0.25, 0.5]}
    made = publish(db, project, Curves({"policy/grad_norm": [3.0, None, 4.0]}, columns))
    steps, denoising = curves.of_update(db, made.update_id or "", 100)
    assert by_name(steps) == {"step/policy/grad_norm": [(1, 3), (3, 4)]}
    assert by_name(denoising) == {"timestep/log_ratio_nats": [(1, 0.25), (2, 0.5)]}
    assert curves.newest_by_timestep(db, project.id) == denoising


def test_pointwise_gestures_give_means_with_intervals_and_relative_ones_none(db: Database) -> None:
    """The mean of best-of-k is 1/k for ever, so it is never drawn."""
    project = make_project(db)
    group = make_group(db, project)
    judge(db, group, "stars", [5.0, 5.0, 1.0, 1.0], "ann")
    judge(db, group, "stars", [3.0, 3.0, 5.0, 5.0], "ben")
    judge(db, group, "good", [1.0, 0.0, 0.0, 0.0], "cleo")
    judge(db, group, "best", [1.0, 0.0, 0.0, 0.0], "dan")
    found = {curve.name: curve for curve in curves.of_project(db, project.id, 100)}
    [stars], [good] = found["human/stars"].points, found["human/good"].points
    assert stars.mean == pytest.approx((0.5 + 0.75) / 2)
    # Student's t of two values: 12.706 standard errors of 0.125 either way
    assert stars.low == pytest.approx(0.625 - 12.706 * 0.125, abs=1e-3)
    assert (good.x, good.mean) == (0, 0.25)
    assert 0 <= (good.low or 0) < 0.25 < (good.high or 1) <= 1
    assert "human/best" not in found


def test_the_guards_curves_share_one_scale(db: Database) -> None:
    project = make_project(db, guard_reward=2.0, guard_kl=10.0, guard_diversity=0.5)
    projects.set_reward(db, project.id, RewardWeights(1.0, {"shine": 1.0}))
    base = Figures(16, 0.0, 0.2, 0.0, {"fit": Spread(10.0, 2.0), "shine": Spread(0.5, 0.1)})
    versions.set_metrics(db, versions.live(db, project.id).id, {"guard": base.values()})
    now = Figures(16, 0.0, 0.1, 5.0, {"fit": Spread(8.0, 2.0), "shine": Spread(0.9, 0.1)})
    publish(db, project, Curves({}, {}), Checked(figures=now.values()))
    found = by_name(curves.of_project(db, project.id, 100))
    last = {name: points[-1][1] for name, points in found.items() if name.startswith("guard/")}
    assert last == pytest.approx(
        {
            "guard/training": 2.0,
            "guard/fit": -0.5,
            "guard/diversity": -1.0,
            "guard/kl_to_base": -0.5,
            "guard/broken": 0.0,
        }
    )
