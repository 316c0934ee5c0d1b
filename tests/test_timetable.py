"""Cron lines mean what Unix means, on the clocks of a time zone; quiet hours too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from loop_studio.config import ProjectConfig
from loop_studio.errors import Invalid
from loop_studio.timetable import is_quiet, next_run, preview

SUNDAY_NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BERLIN = "Europe/Berlin"
SPRING = datetime(2026, 3, 28, 22, tzinfo=UTC)  # clocks go from 02:00 to 03:00 that night
AUTUMN = datetime(2026, 10, 24, 21, tzinfo=UTC)  # from 03:00 back to 02:00


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 3 * * *", "2026-11-23 03:00"),
        ("*/15 * * * *", "2026-11-22 12:15"),
        ("5/20 * * * *", "2026-11-22 12:05"),
        ("0 9 * * 0", "2026-11-29 09:00"),
        ("0 3 * * 7", "2026-11-29 03:00"),
        ("0 9 * * sun", "2026-11-29 09:00"),
        ("0 9 * * Sun-Tue", "2026-11-23 09:00"),
        ("0 3 * * 1-5", "2026-11-23 03:00"),
        ("0 3 * * 6", "2026-11-28 03:00"),
        ("0 12 * * 0-3", "2026-11-23 12:00"),
        ("0 0 * * */2", "2026-11-24 00:00"),
        ("30 4 1 * *", "2026-12-01 04:30"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 0 1 feb-mar *", "2027-02-01 00:00"),
        ("0 0 13 * 5", "2026-11-27 00:00"),  # both days given: either will do
        ("0 0 31 2 1", "2027-02-01 00:00"),
    ],
)
def test_cron_means_what_unix_means(cron: str, expected: str) -> None:
    assert next_run(cron, SUNDAY_NOON).strftime("%Y-%m-%d %H:%M") == expected


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "a b c d e",
        "* * * * 8",
        "* * 0 * *",
        "* * * 13 *",
        "* * last * *",
        "*/0 * * * *",
        "* * * * 5-2",
        "@daily",
        "* * * * ٣",
        "0 0 1 1 *\n* * * * *",
    ],
)
def test_a_wrong_cron_line_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(Invalid, match="for example 30 22"):
        next_run(cron, SUNDAY_NOON)


@pytest.mark.parametrize("cron", ["0 0 31 2 *", "0 0 30,31 2 *", "0 0 31 4,6,9,11 *"])
def test_a_line_that_never_runs_is_refused(cron: str) -> None:
    with pytest.raises(Invalid, match="No date ever meets") as refused:
        next_run(cron, SUNDAY_NOON)
    assert refused.value.code == "never_runs"


def clocks(cron: str, after: datetime, count: int) -> list[str]:
    """What a clock in Berlin shows at the next dates."""
    dates = preview(cron, after, BERLIN, count)
    assert dates == sorted(set(dates))
    return [date.astimezone(ZoneInfo(BERLIN)).strftime("%d %H:%M") for date in dates]


def test_the_night_that_leaves_an_hour_out_drops_and_doubles_nothing() -> None:
    assert clocks("30 2 * * *", SPRING, 2) == ["29 03:30", "30 02:30"]
    assert clocks("0 * * * *", SPRING, 4) == ["29 00:00", "29 01:00", "29 03:00", "29 04:00"]
    assert clocks("30 1 * * *", SPRING, 2) == ["29 01:30", "30 01:30"]


def test_the_night_that_has_an_hour_twice_drops_and_doubles_nothing() -> None:
    assert clocks("30 2 * * *", AUTUMN, 2) == ["25 02:30", "26 02:30"]
    hourly = clocks("0 * * * *", AUTUMN, 6)
    assert hourly == ["25 00:00", "25 01:00", "25 02:00", "25 02:00", "25 03:00", "25 04:00"]
    between = preview("*/30 * * * *", AUTUMN, BERLIN, 12)
    assert {b - a for a, b in pairwise(between)} == {timedelta(minutes=30)}


@pytest.mark.parametrize(
    ("clock", "quiet"), [("21:59", False), ("22:00", True), ("03:00", True), ("07:00", False)]
)
def test_quiet_hours_pass_midnight_on_the_projects_clocks(clock: str, quiet: bool) -> None:
    moment = datetime.fromisoformat(f"2026-07-01T{clock}").replace(tzinfo=ZoneInfo(BERLIN))
    assert is_quiet(moment.astimezone(UTC), "22:00", "07:00", BERLIN) is quiet
    assert not is_quiet(moment, None, None, BERLIN)


def test_quiet_hours_within_a_day() -> None:
    assert is_quiet(SUNDAY_NOON, "12:00", "13:00", "UTC")
    assert not is_quiet(SUNDAY_NOON, "13:00", "14:00", "UTC")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"time_zone": "Mars/Olympus"}, "a time zone such as Europe/Berlin; it was 'Mars/Olympus'"),
        ({"time_zone": "../etc/passwd"}, "a time zone such as"),
        ({"quiet_from": "24:00", "quiet_until": "07:00"}, "quiet_from must be a time from 00:00"),
        ({"quiet_from": "22:00"}, "set both, or leave both empty"),
    ],
)
def test_wrong_times_are_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        ProjectConfig.from_values(values)
