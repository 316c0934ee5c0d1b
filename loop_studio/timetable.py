"""When things happen by themselves: dates of Unix cron lines, and quiet hours.

A cron line is read on the clocks of a time zone, as Vixie cron does. A date that the spring night
leaves out comes as much later as the clocks are moved; a time that the autumn night has twice
comes once, unless the line asks for every hour: then each real hour counts. APScheduler's
CronTrigger does the search on clock times without a zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from apscheduler.triggers.cron import CronTrigger

from loop_studio.errors import Invalid

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # every date that is one comes after it
_SHIFT = timedelta(hours=2)  # clocks are moved by no more
_FIELDS = ("minute", "hour", "day", "month", "day_of_week")
_PART = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<stride>[1-9]\d*))?", re.ASCII)
_EXAMPLE = "for example 30 22 * * 1-5: at 22:30 from Monday to Friday"


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """Every time zone's name, such as Europe/Berlin."""
    return frozenset(available_timezones())


def next_runs(cron: str, after: datetime, zone: str = "UTC") -> Iterator[datetime]:
    """The dates after `after` that a cron line means on the clocks of `zone`, in UTC.

    Raises Invalid for a line that is not five cron fields, or that no date ever meets.
    """
    triggers, clock = _triggers(cron), ZoneInfo(zone)
    twice = cron.split()[1] == "*"
    moment = _next(triggers, after, clock, twice)
    if moment is None:
        raise Invalid(f"No date ever meets {cron!r}; check its day and its month.", "never_runs")
    while moment is not None:
        yield moment
        moment = _next(triggers, moment, clock, twice)


def next_run(cron: str, after: datetime, zone: str = "UTC") -> datetime:
    """The first of `next_runs`."""
    return next(next_runs(cron, after, zone))


def preview(cron: str, after: datetime, zone: str, count: int = 3) -> list[datetime]:
    """The first `count` dates; fewer only at the end of the calendar."""
    return list(islice(next_runs(cron, after, zone), count))


def is_quiet(moment: datetime, start: str | None, end: str | None, zone: str) -> bool:
    """Whether `moment` lies from `start` until `end` (HH:MM) on the clocks of `zone`."""
    if start is None or end is None:
        return False
    first, last = time.fromisoformat(start), time.fromisoformat(end)
    clock = moment.astimezone(ZoneInfo(zone)).time()
    if first <= last:
        return first <= clock < last
    return clock >= first or clock < last


def _next(
    triggers: Sequence[CronTrigger], after: datetime, zone: tzinfo, twice: bool
) -> datetime | None:
    """The first moment after `after`; `twice` counts both passes of an hour that comes twice."""
    clock = after.astimezone(zone).replace(tzinfo=None)
    soonest = None
    for wall in _walls(triggers, clock - _SHIFT):
        if soonest is not None and wall > clock + _SHIFT:
            break
        for fold in (0, 1) if twice else (0,):
            moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
            if moment > after and (soonest is None or moment < soonest):
                soonest = moment
    return soonest


def _walls(triggers: Sequence[CronTrigger], after: datetime) -> Iterator[datetime]:
    """Clock times after `after` that any of the triggers means, in order."""
    while True:
        start = (after + timedelta(microseconds=1)).replace(tzinfo=UTC)
        found = [trigger.get_next_fire_time(None, start) for trigger in triggers]
        dates = [date.replace(tzinfo=None) for date in found if date is not None]
        if not dates:
            return
        after = min(dates)
        yield after


@lru_cache(maxsize=256)
def _triggers(cron: str) -> tuple[CronTrigger, ...]:
    """One trigger, or two: with both days given, Unix means either. None for 31 February."""
    fields = cron.lower().split()
    if len(fields) != len(_FIELDS):
        raise Invalid(
            f"A cron line has five fields (minute, hour, day, month, weekday), {_EXAMPLE}; "
            f"this has {len(fields)}."
        )
    try:
        triggers = [CronTrigger(**values, timezone=UTC) for values in _read(fields)]
    except ValueError:
        raise Invalid(
            f"{cron!r} is no cron line: minutes are 0-59, hours 0-23, days 1-31, months 1-12, "
            f"weekdays 0-7 with Sunday as 0 and 7; {_EXAMPLE}."
        ) from None
    return tuple(one for one in triggers if one.get_next_fire_time(None, _LONG_AGO))


def _read(fields: Sequence[str]) -> list[dict[str, str]]:
    """What APScheduler is given; raises ValueError."""
    minute, hour, day, month, weekday = fields
    parts = [part for value in (minute, hour, day) for part in value.split(",")]
    if not all(_PART.fullmatch(part) and not part.isalpha() for part in parts):
        raise ValueError(fields)
    months, weekdays = _spelled(month, MONTHS, first=1), _spelled(weekday, WEEKDAYS, first=0)
    days = [(day, weekdays)]
    if not day.startswith("*") and not weekday.startswith("*"):
        days = [(day, "*"), ("*", weekdays)]
    return [
        dict(zip(_FIELDS, (minute, hour, one, months, other), strict=True)) for one, other in days
    ]


def _spelled(value: str, names: tuple[str, ...], first: int) -> str:
    """A field of months or weekdays as a list of names, since APScheduler counts from Monday.

    Ranges are written out: a Unix range may start on Sunday, APScheduler's last day.
    """
    if value == "*":
        return value
    return ",".join(name for part in value.split(",") for name in _names(part, names, first))


def _names(part: str, names: tuple[str, ...], first: int) -> tuple[str, ...]:
    matched = _PART.fullmatch(part)
    if matched is None:
        raise ValueError(part)
    start, last, stride = matched["first"], matched["last"], matched["stride"]
    if start == "*":
        numbers = range(first, first + len(set(names)), int(stride or 1))
    else:
        low = _number(start, names, first)
        high = _number(last, names, first) if last else low
        if stride and not last:
            high = first + len(set(names)) - 1
        numbers = range(low, high + 1, int(stride or 1))
    if not numbers or not 0 <= numbers[-1] - first < len(names) or numbers[0] < first:
        raise ValueError(part)
    return tuple(names[number - first] for number in numbers)


def _number(word: str, names: tuple[str, ...], first: int) -> int:
    if word.isdigit():
        return int(word)
    if word not in names:
        raise ValueError(word)
    return names.index(word) + first
