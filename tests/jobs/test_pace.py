"""The time left, told from recorded step times and from imagined ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from loop_studio.jobs.job_log import clean
from loop_studio.jobs.pace import SHOWN_AFTER, Pace
from loop_studio.rl.course import Pass

Phase = tuple[Pass, int, float]  # kind, steps of 16 transitions, seconds per step
Step = tuple[dict[Pass, int], float]  # what is left, and at which second

# Real updates of the starter model: `python -m benchmarks.step_times` made the file.
RECORDED = json.loads((Path(__file__).parent / "step_times.json").read_text())

# Steps of a pass without a gradient take about 0.4 of those with one.
COURSES: dict[str, list[Phase]] = {
    "without a penalty": [("training", 120, 0.9)],
    "references first": [("reference", 60, 0.36), ("training", 120, 0.9)],
    "late groups first": [("late", 20, 0.4), ("reference", 60, 0.35), ("training", 120, 0.95)],
}
# Older versions are read from a slow disk: the first phase says nothing about the next ones.
SLOW_START: list[Phase] = [("late", 25, 2.5), ("reference", 60, 0.35), ("training", 120, 0.9)]


def imagined(course: list[Phase], seed: int) -> Iterator[Step]:
    """An update whose steps differ by up to 15 %."""
    draw = random.Random(seed)
    left: dict[Pass, int] = {"late": 0, "reference": 0, "training": 0}
    left |= {kind: 16 * steps for kind, steps, _ in course}
    at = 1000.0
    for kind, steps, seconds in course:
        for _ in range(steps):
            at += seconds * draw.uniform(0.85, 1.15)
            left[kind] -= 16
            yield dict(left), at


@pytest.mark.parametrize("pair", [RECORDED[:2], RECORDED[2:]], ids=lambda pair: pair[0]["name"])
def test_of_real_updates_the_time_left_is_right_within_a_fifth_after_a_fifth_of_the_way(
    pair: list[dict[str, Any]],
) -> None:
    """A project's first update, and its second, which knows how quick the first was."""
    first = Pace()
    assert worst(first, recorded(pair[0])) < 0.2
    assert worst(Pace(first.seconds()), recorded(pair[1])) < 0.2


def recorded(update: dict[str, Any]) -> list[Step]:
    assert len(update["steps"]) > 3 * SHOWN_AFTER
    return [
        ({"late": 0, "reference": reference, "training": training}, at)
        for reference, training, at in update["steps"]
    ]


@pytest.mark.parametrize("course", COURSES.values(), ids=COURSES)
@pytest.mark.parametrize("seed", range(5))
def test_after_a_fifth_of_the_way_the_time_left_is_right_within_a_fifth(
    course: list[Phase], seed: int
) -> None:
    assert worst(Pace(), list(imagined(course, seed))) < 0.2


@pytest.mark.parametrize("seed", range(5))
def test_so_it_is_after_a_slower_phase_once_the_project_has_had_an_update(seed: int) -> None:
    before = Pace()
    for left, at in imagined(SLOW_START, seed + 100):
        before.see(left, at)
    assert worst(Pace(before.seconds()), list(imagined(SLOW_START, seed))) < 0.2


def worst(pace: Pace, steps: Sequence[Step]) -> float:
    """The largest error after a fifth of the way, as a share of the whole time."""
    start, end = steps[0][1], steps[-1][1]
    errors = []
    for done, (left, at) in enumerate(steps[:-1], start=1):
        pace.see(left, at)
        told = pace.eta_s()
        if done <= SHOWN_AFTER:
            assert told is None
        elif at - start >= 0.2 * (end - start):
            assert told is not None
            errors.append(abs(told - (end - at)) / (end - start))
    return max(errors)


def test_raters_who_are_served_for_a_while_slow_it_and_are_forgotten() -> None:
    pace, at = Pace(), 0.0
    for done in range(1, 200):
        at += 5.0 if 20 <= done < 40 else 1.0
        pace.see({"late": 0, "reference": 0, "training": 16 * (300 - done)}, at)
    assert pace.eta_s() == pytest.approx(101, rel=0.02)
    assert pace.samples_per_s() == pytest.approx(16, rel=0.02)


def test_a_step_that_begins_again_does_not_count_backwards() -> None:
    pace = Pace()
    for done in [*range(1, 15), 10, *range(11, 40)]:
        pace.see({"late": 0, "reference": 0, "training": 16 * (40 - done)}, float(len(pace._steps)))
    told = pace.eta_s()
    assert told is not None
    assert told >= 0


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("no file /home/ann/data/files/x.safetensors", "no file …/x.safetensors"),
        (r"no file C:\Users\ann\x.bin here", "no file …/x.bin here"),
        ("token hf_abcDEF123 is refused", "token *** is refused"),
        ("at https://ann:secret@host/x", "at https://***host/x"),
        ("step 3/4: 1.5 GB, half/half", "step 3/4: 1.5 GB, half/half"),
    ],
)
def test_log_lines_carry_no_folders_and_no_tokens(said: str, kept: str) -> None:
    assert clean(said) == kept
