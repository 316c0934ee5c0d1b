from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from loop_studio.storage import exporting, groups, jobs, ratings, status, updates, workers
from loop_studio.storage.database import Database, changed
from loop_studio.storage.schema import Project, Worker, new_id, now
from tests.storage.studio import FILES, make_group, make_project, rate, skip, start_update


def test_a_new_project_waits_for_its_worker_then_for_its_first_group(db: Database) -> None:
    project = make_project(db, min_groups=2)
    told = status.status(db, project.id)
    assert (told.live_version, told.ready_groups, told.ratings) == (0, 0, 0)
    assert (told.generation, told.next_group_eta_s) == ("paused", None)
    assert "python app.py worker" in told.generation_reason
    assert (told.can_update, told.can_update_reason) == (
        False,
        "2 more usable groups are needed: 0 of 2 are there.",
    )
    assert told.worker == workers.WorkerView("none", None, None)
    worker = workers.register(db, "cpu", 1)
    workers.set_rollout_seconds(db, worker.id, 4.0)
    jobs.refill(db, project.id)
    told = status.status(db, project.id)
    assert (told.generation, told.generating_groups, told.next_group_eta_s) == ("running", 1, 4.0)
    job = jobs.claim(db, worker.id)
    assert job is not None
    eta = status.status(db, project.id).next_group_eta_s
    assert eta is not None
    assert 0.5 <= eta < 4.0
    make_group(db, project, job=job)
    told = status.status(db, project.id)
    assert (told.ready_groups, told.generating_groups, told.next_group_eta_s) == (1, 0, 0.0)
    assert (told.generation, told.generation_reason) == ("idle", "Enough groups are ready.")
    assert status.ready_groups(db, project.id) == 1


def test_a_project_nobody_rates_is_idle_and_says_so(db: Database) -> None:
    project = make_project(db)
    workers.register(db, "cpu", 1)
    with db.write() as session:
        changed(session, update(Project).values(active_until=now()))
    assert "30 minutes" in status.status(db, project.id).generation_reason


def test_ready_groups_are_those_that_nobody_holds(db: Database) -> None:
    project = make_project(db)
    for _ in range(3):
        make_group(db, project)
    groups.next_for(db, project.id, "ann")
    assert status.ready_groups(db, project.id) == 2


def test_usable_groups_open_the_way_to_an_update_and_one_that_runs_closes_it(
    db: Database,
) -> None:
    project = make_project(db)
    rate(db, make_group(db, project))
    told = status.status(db, project.id)
    assert (told.can_update, told.can_update_reason) == (True, "")
    begun, job = start_update(db, project)
    told = status.status(db, project.id)
    assert (told.can_update, told.active_update_id) == (False, begun.id)
    assert told.can_update_reason == "An update is already running."
    updates.claim_groups(db, begun.id)
    updates.publish(db, job, begun.id, FILES, {})
    told = status.status(db, project.id)
    assert (told.live_version, told.usable_groups, told.rated_groups) == (1, 0, 1)


def test_a_silent_worker_is_lost_whatever_it_said_last(db: Database) -> None:
    worker = workers.register(db, "cuda", 7)
    workers.beat(db, worker.id, "busy")
    assert workers.current(db).state == "busy"
    with db.write() as session:
        changed(session, update(Worker).values(heartbeat_at=now() - timedelta(seconds=31)))
    seen = workers.current(db)
    assert (seen.state, seen.device) == ("lost", "cuda")
    assert (seen.heartbeat_age_s or 0) > 30


def test_the_newest_worker_counts_and_a_stopped_one_is_none(db: Database) -> None:
    first = workers.register(db, "cpu", 1)
    workers.set_rollout_seconds(db, first.id, 2.0)
    workers.set_rollout_seconds(db, first.id, 3.0)
    workers.mark(db, first.id, "lost", "Out of memory")
    seen = workers.current(db)
    assert (seen.state, seen.last_words) == ("lost", "Out of memory")
    assert abs((seen.rollout_s or 0) - 2.3) < 1e-9
    second = workers.register(db, "cpu", 2, "my-id")
    assert (second.id, workers.current(db).state) == ("my-id", "ready")
    assert abs((workers.current(db).rollout_s or 0) - 2.3) < 1e-9
    workers.mark(db, second.id, "stopped")
    assert workers.current(db).state == "none"


def test_a_worker_that_died_before_it_could_register_is_still_seen_as_lost(db: Database) -> None:
    workers.mark(db, "never-registered", "lost", "No such device")
    seen = workers.current(db)
    assert (seen.state, seen.last_words) == ("lost", "No such device")


class Model:
    """What status should say, kept in plain dictionaries."""

    def __init__(self) -> None:
        self.events: dict[str, tuple[int, str, str]] = {}  # id -> group, rater, gesture
        self.active: dict[tuple[int, str], str] = {}

    def rate(self, event: str, group: int, rater: str, kind: str) -> None:
        if event not in self.events:
            self.events[event] = (group, rater, kind)
            self.active[group, rater] = event

    def undo(self, event: str) -> None:
        group, rater, _ = self.events[event]
        if self.active.get((group, rater)) == event:
            del self.active[group, rater]

    def counts(self) -> tuple[int, int, int]:
        kinds = {key: self.events[event][2] for key, event in self.active.items()}
        rated = {group for (group, _), kind in kinds.items() if kind != "skip"}
        usable = {group for (group, _), kind in kinds.items() if kind == "best"}
        return len(kinds), len(rated), len(usable)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["best", "tie", "skip", "undo", "again"]),
        st.integers(0, 2),
        st.sampled_from(["ann", "bob"]),
    ),
    max_size=10,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS)
def test_counts_equal_a_simple_model_after_any_sequence_of_gestures(
    db: Database, actions: list[tuple[str, int, str]]
) -> None:
    project = make_project(db, overlap=2)
    made = [make_group(db, project) for _ in range(3)]
    sent: list[ratings.RatingIn] = []
    model = Model()
    for kind, group, rater in actions:
        if kind in {"undo", "again"}:
            if not sent:
                continue
            chosen = sent[group % len(sent)]
            if kind == "undo":
                ratings.undo(db, chosen.event_id)
                model.undo(chosen.event_id)
            else:
                ratings.record(db, chosen)
            continue
        images = [image.id for image in groups.images(db, made[group].id)]
        values: dict[str, dict[str, float | None]] = {
            "best": {image: float(image == images[0]) for image in images},
            "tie": dict.fromkeys(images, 0.5),
            "skip": {},
        }
        mode = "skip" if kind == "skip" else "best"
        event = ratings.RatingIn(new_id(), made[group].id, rater, mode, values[kind])
        sent.append(event)
        ratings.record(db, event)
        model.rate(event.event_id, group, rater, kind)
    told = status.status(db, project.id)
    assert (told.ratings, told.rated_groups, told.usable_groups) == model.counts()
    assert len(list(exporting.rows(db, project.id))) == len(sent)
    for group_row in made:
        skip(db, group_row, "cat")
    assert status.status(db, project.id).usable_groups == model.counts()[2]
