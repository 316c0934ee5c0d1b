"""A whole project leaves as one file and comes back; a bad file changes nothing."""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

import app
from loop_studio.exchange.project_archive import MANIFEST
from loop_studio.jobs.autopilot import make_worker
from loop_studio.settings import Settings
from loop_studio.storage import (
    exporting,
    exports,
    groups,
    learned,
    project_imports,
    project_rows,
    projects,
    references,
    updates,
    versions,
)
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore, new_key
from loop_studio.storage.schema import Base, Job, Version
from tests.jobs.conftest import Desk, only
from tests.jobs.test_import_lora import trained


@pytest.fixture
def elsewhere(tmp_path: Path, migrated_data: Path) -> Iterator[Desk]:
    """Another studio, empty."""
    shutil.copytree(migrated_data, tmp_path / "elsewhere")
    settings = Settings(data=tmp_path / "elsewhere", device="cpu")
    db = Database(settings.resolved_database_url)
    yield Desk(db, FileStore(settings.files), make_worker(settings, db), None)
    db.dispose()


def archive_of(desk: Desk) -> Path:
    job = exports.create(desk.db, desk.project.id, "project")
    only(desk, exports.KIND)
    return desk.files.path(exports.file(exports.get(desk.db, job.id)).key)


def arrive(desk: Desk, data: bytes) -> Job:
    stored = desk.files.put(new_key(".zip"), data)
    job = project_imports.create(desk.db, stored, "archive")
    only(desk, project_imports.KIND)
    desk.files.delete(stored.key)
    return project_imports.get(desk.db, job.id)


def told(desk: Desk, project_id: str) -> dict[str, object]:
    """Everything of a project that does not depend on what its rows are called."""
    with desk.db.read() as session:
        rows = {
            table.name: session.scalar(
                select(func.count()).where(project_rows.belongs(table, project_id))
            )
            for table in project_rows.travelling()
        }
    ratings = [
        (row.mode, row.rater, row.prompt, row.version, row.status,
         [row.judgement.get(image.id) for image in row.images],
         [row.rewards[image.id] for image in row.images],
         [row.images.index(next(i for i in row.images if i.id == id)) for id in row.order or []],
         [image.sha256 for image in row.images], row.created_at)
        for row in exporting.rows(desk.db, project_id)
    ]  # fmt: skip
    listed = versions.list(desk.db, project_id)
    kinds = ("resume", "diffusers", "kohya")
    trained_ones = [
        (version.number, version.metrics,
         [versions.file(desk.db, version.id, kind).sha256 for kind in kinds])
        for version in listed[1:]
    ]  # fmt: skip
    return {
        "rows": rows,
        "ratings": ratings,
        "versions": trained_ones,
        "live": versions.live(desk.db, project_id).number,
        "config": projects.config(desk.db, project_id),
    }


def whole(desk: Desk, project_id: str) -> bool:
    """Whether every file that the project's rows name is there."""
    with desk.db.read() as session:
        keys = list(project_rows.files(session, project_id))
    return all(desk.files.path(key).is_file() for key in keys)


def test_out_and_into_the_same_studio_under_fresh_ids(desk: Desk) -> None:
    trained(desk)
    desk.rate(1, rater="bob")
    learned.ask_now(desk.db, desk.project.id)
    desk.work()
    before = told(desk, desk.project.id)
    job = arrive(desk, archive_of(desk).read_bytes())
    assert (job.state, job.error_detail) == ("succeeded", None)
    twin = job.payload["project_id"]
    assert twin != desk.project.id
    assert told(desk, twin) == before == told(desk, desk.project.id)
    assert learned.waiting(desk.db, twin) == 0  # its ratings have other numbers here
    assert whole(desk, twin)
    on = Desk(desk.db, desk.files, desk.worker, projects.get(desk.db, twin))
    on.rate(1)
    done = updates.create(on.db, twin)  # with bob's rating of before and the new one
    on.work()
    finished = updates.get(on.db, done.id)
    assert (finished.status, finished.group_count) == ("succeeded", 2)


def test_elsewhere_nothing_needs_another_name(
    desk: Desk, elsewhere: Desk, version: Version
) -> None:
    desk.rate(1)
    before = told(desk, desk.project.id)
    job = arrive(elsewhere, archive_of(desk).read_bytes())
    assert job.payload["project_id"] == desk.project.id
    assert told(elsewhere, desk.project.id) == before
    assert whole(elsewhere, desk.project.id)
    again = [row.event_id for row in exporting.rows(elsewhere.db, desk.project.id)]
    assert again == [row.event_id for row in exporting.rows(desk.db, desk.project.id)]


def test_a_lost_trajectory_does_not_keep_a_project_from_leaving(
    desk: Desk, elsewhere: Desk
) -> None:
    [group_id] = desk.rate(1)
    desk.work()
    desk.files.delete(groups.get(desk.db, group_id).trajectory_key)
    job = arrive(elsewhere, archive_of(desk).read_bytes())
    assert job.state == "succeeded"
    assert groups.get(elsewhere.db, group_id).trajectory_key is None
    assert whole(elsewhere, desk.project.id)


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None], **options: int) -> bytes:
    """The archive with some entries changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    made = path.with_suffix(".changed")
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", **options) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return made.read_bytes()


def rehashed(entries: dict[str, bytes], table: str, old: bytes, new: bytes) -> None:
    """Rows changed together with their hash, as one who means harm would do it."""
    import hashlib  # noqa: PLC0415  (for this alone)

    name = f"rows/{table}.jsonl"
    assert old in entries[name]
    entries[name] = entries[name].replace(old, new)
    manifest = json.loads(entries[MANIFEST])
    manifest["rows"][table] = hashlib.sha256(entries[name]).hexdigest()
    entries[MANIFEST] = json.dumps(manifest).encode()


def changes(desk: Desk) -> dict[str, tuple[Callable[[dict[str, bytes]], None], str]]:
    other = projects.create(desk.db, "Other", "starter", [("a", [])], {})
    stranger = versions.live(desk.db, other.id).id.encode()
    base = versions.by_number(desk.db, desk.project.id, 0).id.encode()

    def newer(entries: dict[str, bytes]) -> None:
        manifest = json.loads(entries[MANIFEST])
        entries[MANIFEST] = json.dumps({**manifest, "revision": "9999"}).encode()

    def swap_file(entries: dict[str, bytes]) -> None:
        name = next(name for name in entries if name.endswith(".safetensors"))
        entries[name] = entries[name][:-1] + b"?"

    def swap_picture(entries: dict[str, bytes]) -> None:
        name = next(name for name in entries if name.endswith(".png"))
        entries[name] = b"<svg onload=alert(1)>"

    return {
        "slip": (lambda e: e.update({"../../evil.py": b"x"}), "no export of a project has"),
        "slip in files": (lambda e: e.update({"files/../../a.png": b"x"}), "no export"),
        "no manifest": (lambda e: e.pop(MANIFEST), "not a project exported by LOOP Studio"),
        "newer": (newer, "upgrade this studio first"),
        "a row changed": (
            lambda e: e.update({"rows/ratings.jsonl": e["rows/ratings.jsonl"] + b"{}\n"}),
            "cut off or damaged",
        ),
        "a row lost": (lambda e: e.update({"rows/images.jsonl": b""}), "cut off or damaged"),
        "a file changed": (swap_file, "cut off or damaged"),
        "no picture": (swap_picture, "not a PNG"),
        "a file lost": (lambda e: e.pop(next(n for n in e if n.endswith(".png"))), "cut off"),
        "another project's row": (
            lambda e: rehashed(e, "groups", base, stranger), "a row of versions that it does not"
        ),
        "an unknown word": (
            lambda e: rehashed(e, "ratings", b'"active"', b'"absent"'), "do not belong together"
        ),
        "a wrong type": (
            lambda e: rehashed(e, "ratings", b'"usable": true', b'"usable": "yes"'), "wrong value"
        ),
        "a wrong setting": (
            lambda e: rehashed(e, "settings_revisions", b'"group_size": 4', b'"group_size": 99'),
            "group_size must be",
        ),
        "an unknown column": (
            lambda e: rehashed(e, "projects", b'"archived"', b'"nonsense"'), "'nonsense'"
        ),
    }  # fmt: skip


def state_of(desk: Desk) -> tuple[object, ...]:
    with desk.db.read() as session:
        rows = {
            name: session.scalar(select(func.count()).select_from(table))
            for name, table in Base.metadata.tables.items()
            if name not in ("jobs", "workers", "audit_entries")
        }
    return rows, sorted(desk.files.keys()), len(references.keys(desk.db))


def test_a_bad_archive_is_refused_with_one_sentence_and_leaves_nothing(desk: Desk) -> None:
    desk.rate(1)
    path = archive_of(desk)
    data = path.read_bytes()
    cases = {
        "text": (b"hello", "not a project exported"),
        "empty": (b"", "not a project exported"),
        "cut off": (data[: len(data) // 2], "cut off or damaged"),
        "tail cut off": (data[:-30], "cut off or damaged"),
        "packed anew": (
            rewritten(path, lambda entries: None, compression=zipfile.ZIP_DEFLATED), "packed anew"
        ),
        "bomb": (
            rewritten(path, lambda e: e.update({"rows/scores.jsonl": b" " * 10**7}),
                      compression=zipfile.ZIP_DEFLATED), "packed anew",
        ),
    }  # fmt: skip
    for name, (change, sentence) in changes(desk).items():
        cases[name] = (rewritten(path, change), sentence)
    for made in path.parent.glob("*.changed"):
        made.unlink()
    before = state_of(desk)
    for name, (bad, sentence) in cases.items():
        job = arrive(desk, bad)
        assert (job.state, job.error_code) == ("failed", "invalid_value"), (name, job.error_log)
        assert sentence in (job.error_detail or ""), (name, job.error_detail)
        assert (job.error_detail or "").count("\n") == 0
        assert state_of(desk) == before, name


def test_the_command_line_takes_a_project_out_and_in(
    desk: Desk, settings: Settings, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("LOOP_STUDIO_DATA", str(settings.data))
    monkeypatch.setenv("LOOP_STUDIO_DATABASE_URL", settings.resolved_database_url)
    monkeypatch.setenv("LOOP_STUDIO_DEVICE", "cpu")
    desk.rate(1)
    asked = ["export-project", "--project", desk.project.id, "--out", str(tmp_path)]
    assert app.main(asked) == 0
    file = tmp_path / "tiny-project.zip"
    assert app.main(["import-project", "--file", str(file)]) == 0
    twin = capsys.readouterr().out.split()[-1]
    assert told(desk, twin)["ratings"] == told(desk, desk.project.id)["ratings"]
    assert app.main(["import-project", "--file", str(tmp_path / "none.zip")]) == 1
    assert "There is no file" in capsys.readouterr().err
