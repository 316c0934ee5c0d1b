"""A schedule's every date counts once, whatever clocks and people do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from loop_studio.errors import Conflict, Invalid, NotFound
from loop_studio.storage import projects, schedules, updates
from loop_studio.storage.auto_update import start_after_quiet
from loop_studio.storage.database import Database
from loop_studio.storage.schema import Project, Schedule, Update, now
from tests.storage.studio import make_group, make_project, publish, rate
from tests.storage.test_updates import together

MONDAY_8 = datetime(2026, 11, 23, 8, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def ready_project(db: Database, **values: object) -> Project:
    """A project in which an update could start."""
    project = make_project(db, **values)
    rate(db, make_group(db, project))
    return project


def daily(db: Database, project: Project, cron: str = "0 9 * * *") -> Schedule:
    return schedules.create(db, project.id, "update", cron, MONDAY_8 + HOUR)


def finish(db: Database, project: Project) -> int:
    """Cancel what runs, so that the next one may start; how many there were so far."""
    if running := updates.active(db, project.id):
        updates.cancel(db, running.id)
    return len(updates.list(db, project.id))


def started(db: Database, project: Project, *moments: datetime) -> list[int]:
    """How many updates there are after the clock looked at each of these moments."""
    counts = []
    for moment in moments:
        schedules.run_due(db, moment)
        counts.append(finish(db, project))
    return counts


def test_a_due_date_starts_one_update_and_says_so(db: Database) -> None:
    project = ready_project(db)
    made = daily(db, project)
    assert started(db, project, MONDAY_8, MONDAY_8 + HOUR, MONDAY_8 + 2 * HOUR) == [0, 1, 1]
    told = schedules.get(db, made.id)
    assert told.last_run_at == MONDAY_8 + HOUR
    assert told.last_outcome == "Update 1 was queued."
    assert told.next_run_at == MONDAY_8 + HOUR + DAY


def test_clocks_that_look_at_once_start_one_update(db: Database) -> None:
    project = ready_project(db)
    daily(db, project)
    together(5, lambda: schedules.run_due(db, MONDAY_8 + HOUR))
    assert finish(db, project) == 1


def test_dates_that_passed_while_the_studio_was_off_count_as_one(db: Database) -> None:
    project = ready_project(db)
    made = daily(db, project)
    assert started(db, project, MONDAY_8 + 3 * DAY, MONDAY_8 + 3 * DAY + HOUR) == [1, 2]
    assert schedules.get(db, made.id).next_run_at == MONDAY_8 + 4 * DAY + HOUR


def test_a_clock_that_jumps_forward_and_back_doubles_and_drops_nothing(db: Database) -> None:
    project = ready_project(db)
    daily(db, project)
    jumped = MONDAY_8 + 2 * DAY
    assert started(db, project, jumped) == [1]  # Monday's date, early
    back = [MONDAY_8, MONDAY_8 + HOUR, MONDAY_8 + DAY, MONDAY_8 + DAY + HOUR]
    assert started(db, project, *back) == [1, 1, 1, 2]


def test_a_clock_that_was_years_ahead_does_not_silence_a_schedule(db: Database) -> None:
    project = ready_project(db)
    daily(db, project)
    far = MONDAY_8 + 3650 * DAY
    assert started(db, project, far, far + 2 * HOUR) == [1, 2]
    assert started(db, project, MONDAY_8, MONDAY_8 + HOUR, MONDAY_8 + 2 * HOUR) == [2, 3, 3]


def test_another_time_zone_moves_the_next_date(db: Database) -> None:
    project = ready_project(db)
    made = daily(db, project)
    projects.change(db, project.id, settings={"time_zone": "Asia/Kolkata"})
    assert started(db, project, MONDAY_8) == [0]
    assert schedules.get(db, made.id).next_run_at == MONDAY_8 + DAY - timedelta(hours=4.5)


def test_what_refuses_an_update_is_told_and_the_next_date_comes(db: Database) -> None:
    project = make_project(db)
    made = daily(db, project)
    assert started(db, project, MONDAY_8 + HOUR) == [0]
    told = schedules.get(db, made.id)
    assert "1 more usable group is needed" in (told.last_outcome or "")
    rate(db, make_group(db, project))
    assert started(db, project, MONDAY_8 + DAY + HOUR) == [1]


def test_within_quiet_hours_a_date_waits_for_their_end(db: Database) -> None:
    project = ready_project(db, quiet_from="08:30", quiet_until="10:00")
    daily(db, project)
    moments = [MONDAY_8 + HOUR, MONDAY_8 + 1.9 * HOUR, MONDAY_8 + 2 * HOUR, MONDAY_8 + 3 * HOUR]
    assert started(db, project, *moments) == [0, 0, 1, 1]


def test_quiet_hours_hold_back_what_starts_by_itself_and_nothing_else(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = now()
    quiet = {"quiet_from": f"{clock:%H:%M}", "quiet_until": f"{clock + 2 * HOUR:%H:%M}"}
    project = ready_project(db, auto_update_groups=2, **quiet)
    rate(db, make_group(db, project))
    start_after_quiet(db)
    assert updates.active(db, project.id) is None
    for module in ("auto_update", "refilling"):
        monkeypatch.setattr(f"loop_studio.storage.{module}.now", lambda: clock + 3 * HOUR)
    start_after_quiet(db)
    start_after_quiet(db)
    assert finish(db, project) == 1
    monkeypatch.undo()
    assert publish(db, project).number == 1, "by hand is always allowed"


def test_a_schedule_that_is_off_does_nothing_until_it_is_on_again(db: Database) -> None:
    project = ready_project(db)
    made = schedules.create(db, project.id, "update", "* * * * *")
    schedules.change(db, made.id, enabled=False)
    assert started(db, project, now() + DAY) == [0]
    again = schedules.change(db, made.id, enabled=True)
    assert again.next_run_at > now()


def test_schedules_are_listed_changed_and_removed(db: Database) -> None:
    project = make_project(db)
    made = schedules.create(db, project.id, "update", " 0  4 * * * ")
    assert made.cron == "0 4 * * *"
    assert [row.id for row in schedules.list(db, project.id)] == [made.id]
    assert schedules.change(db, made.id, cron="30 4 * * *").next_run_at.minute == 30
    with pytest.raises(Invalid):
        schedules.change(db, made.id, cron="0 0 31 2 *")
    assert schedules.get(db, made.id).cron == "30 4 * * *"
    for _ in range(2):
        schedules.remove(db, made.id)
    with pytest.raises(NotFound):
        schedules.get(db, made.id)
    with pytest.raises(NotFound):
        schedules.create(db, "nowhere", "update", "* * * * *")


def test_a_project_has_so_many_schedules_at_most(db: Database) -> None:
    project = make_project(db)
    for _ in range(schedules.MOST):
        schedules.create(db, project.id, "update", "0 4 * * *")
    with pytest.raises(Conflict, match="remove one first"):
        schedules.create(db, project.id, "update", "0 4 * * *")


def test_a_paused_update_is_not_doubled_by_a_schedule(db: Database) -> None:
    project = ready_project(db)
    made = daily(db, project)
    updates.pause(db, updates.create(db, project.id).id)
    schedules.run_due(db, MONDAY_8 + HOUR)
    with db.read() as session:
        assert session.query(Update).count() == 1
    outcome = schedules.get(db, made.id).last_outcome or ""
    assert "is paused; resume it, or cancel it" in outcome
