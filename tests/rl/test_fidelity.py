from dataclasses import replace

import pytest

from loop_studio.rl.fidelity import replay_deviation, staleness, tolerance
from tests.rl.walk import Walk


def test_trajectories_replay_exactly_under_their_own_weights_and_not_under_others() -> None:
    walk = Walk()
    walk.move(0.2, seed=1)
    stored = walk.trajectories(4, seed=0)
    for step in range(2):
        assert replay_deviation(walk, stored, "live", step=step) < 1e-15  # float64 Normal
        assert replay_deviation(walk, stored, "learner", step=step) > 1e-3


def test_a_single_wrong_number_in_a_stored_trajectory_is_found() -> None:
    walk = Walk()
    stored = walk.trajectories(4, seed=0)
    latents = stored.latents.clone()
    latents[2, 1, 0, 0, 1] += 1e-3
    assert replay_deviation(walk, replace(stored, latents=latents), "live", step=0) > 1e-6


@pytest.mark.parametrize(("clip", "allowed"), [(1.6e-3, 8e-5), (2.5e-5, 1.25e-6), (1e-6, 1e-6)])
def test_the_tolerance_is_a_twentieth_of_the_clip_and_never_below_one_millionth(
    clip: float, allowed: float
) -> None:
    assert tolerance(clip) == pytest.approx(allowed)


def test_staleness_is_the_distance_between_maker_and_learner_in_nats() -> None:
    walk = Walk()
    stored = walk.trajectories(4, seed=0)
    assert staleness(walk, stored, "live", step=1) == 0
    walk.move(0.2, seed=1)
    near = staleness(walk, stored, "live", step=1)
    walk.move(0.4, seed=1)
    assert 0 < near < staleness(walk, stored, "live", step=1)
