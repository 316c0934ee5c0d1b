"""Care of the data: room on the disk, backups, who changed what, a person's data removed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from loop_studio.storage import audit, backups, forgetting, room, schema
from loop_studio.storage.backups import Backup
from loop_studio.ui.failures import UpdateError, failure
from loop_studio.ui.routes.updates import State
from loop_studio.ui.wire import (
    Answer,
    Body,
    Configured,
    Db,
    Files,
    Id,
    Rater,
    Text,
    Time,
)

RaterWanted = Annotated[Text, Query(min_length=1, max_length=80, description="whose")]

router = APIRouter(tags=["data"])


class Use(Answer):
    """Bytes that the data takes, by kind."""

    trajectories: int
    images: int
    versions: int
    rewards: int
    transfers: int
    database: int


class Room(Answer):
    """What the data takes and what there is, in bytes.

    `spare`: trajectories that go first when the quota asks for room. `sentence` says why no group
    is made for want of room; it is empty while there is some.
    """

    use: Use
    total: int
    spare: int
    quota: int | None
    free: int
    floor: int
    sentence: str


class StoredBackup(Answer):
    """A whole backup; `missing` files were gone from the data folder before it was made."""

    name: str
    made_at: Time
    release: str
    files: int
    file_bytes: int
    database_bytes: int
    missing: int


class BackupJob(Answer):
    """A backup that was asked for, by night or by hand."""

    id: str
    status: State
    step: int
    steps: int
    error: UpdateError | None
    created_at: Time
    finished_at: Time | None


class BackupList(Answer):
    """Whole backups, oldest first, and the one that was asked for last.

    `kept` nightly ones stay, 0 makes none. On PostgreSQL `possible` is false: use pg_dump.
    """

    possible: bool
    folder: str
    kept: int
    last: BackupJob | None
    backups: list[StoredBackup]


class Change(Answer):
    """One line of the log: who changed what. Names are null once they are gone."""

    id: int
    actor: str
    action: audit.Action
    sentence: str
    project_id: str | None
    project: str | None
    rater: str | None
    created_at: Time


class ChangeList(Answer):
    """Newest first; `more` says that there are older ones."""

    changes: list[Change]
    more: bool


class Learner(Answer):
    """A version that learned from the rater, itself or by an ancestor."""

    id: str
    number: int
    live: bool


class Traces(Answer):
    """What a project holds of a rater; of the ratings, `used` ones were learned from."""

    project_id: str
    project: str
    rater_id: str
    ratings: int
    used: int
    remarks: int
    versions: list[Learner]


class TracesList(Answer):
    """In every project that the rater has rated in."""

    traces: list[Traces]


class Removal(Body):
    """Whose data is to be removed."""

    name: Rater


@router.get("/data")
def get_room(db: Db, settings: Configured) -> Room:
    """What the data takes by kind, the quota, and the free space."""
    gauge = room.gauge(db, settings)
    return Room(
        use=Use.model_validate(gauge.use),
        total=gauge.use.total,
        spare=gauge.spare,
        quota=gauge.quota,
        free=gauge.free,
        floor=gauge.floor,
        sentence=gauge.sentence,
    )


@router.get("/backups")
def list_backups(db: Db, settings: Configured) -> BackupList:
    """The backups there are, and what became of the last one that was asked for."""
    last = backups.last_asked(db)
    return BackupList(
        possible=db.is_sqlite,
        folder=str(settings.backup_folder.absolute()),
        kept=settings.backups_kept,
        last=None if last is None else _job(last),
        backups=[_stored(backup) for backup in backups.all(settings.backup_folder)],
    )


@router.post("/backups", status_code=202)
def make_backup(db: Db, settings: Configured) -> BackupJob:
    """Have a backup made now; asked for twice within a minute it is the same one."""
    return _job(backups.ask(db, settings))


@router.get("/audit")
def list_changes(
    db: Db,
    project: Id | None = None,
    action: audit.Action | None = None,
    actor: Annotated[Text | None, Query(max_length=200)] = None,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = audit.LISTED,
) -> ChangeList:
    """Who changed what, of one project, kind or person where that is given."""
    entries, more = audit.entries(db, project, action, actor, before, limit)
    return ChangeList.model_validate({"changes": entries, "more": more})


@router.get("/raters")
def find_rater(db: Db, name: RaterWanted) -> TracesList:
    """What every project holds of the rater of this name."""
    return TracesList.model_validate({"traces": forgetting.traces(db, name)})


@router.delete("/raters")
def remove_rater(db: Db, files: Files, removal: Removal) -> TracesList:
    """Remove all data of the rater of this name from every project; answers what was there.

    Ratings that an update has learned from lose the name and what was judged; their versions can
    be trained again without them.
    """
    return TracesList.model_validate({"traces": forgetting.remove(db, files, removal.name)})


def _stored(backup: Backup) -> StoredBackup:
    about = backup.about
    return StoredBackup(
        name=backup.folder.name,
        made_at=datetime.fromisoformat(about.made_at),
        release=about.release,
        files=about.files,
        file_bytes=about.file_bytes,
        database_bytes=about.database_bytes,
        missing=len(about.missing),
    )


def _job(job: schema.Job) -> BackupJob:
    return BackupJob(
        id=job.id,
        status=job.state,
        step=job.step,
        steps=job.steps,
        error=failure(job.error_code, job.error_detail),
        created_at=job.created_at,
        finished_at=job.finished_at,
    )
