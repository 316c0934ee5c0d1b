"""A LoRA leaves one project as a file, enters another, and updates continue from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import app
from loop_studio.diffusion.lora_file import unpack_checkpoint
from loop_studio.errors import Conflict, NotFound, Refused, TooLarge
from loop_studio.jobs.bring_in import bring_in
from loop_studio.settings import Settings
from loop_studio.storage import imports, jobs, projects, references, samples, updates, versions
from loop_studio.storage.files import new_key
from loop_studio.storage.schema import Job, Version
from tests.diffusion.judging import same
from tests.jobs.conftest import SETTINGS, Desk


def trained(desk: Desk) -> Version:
    """Version 1 of the desk's project."""
    desk.rate(2)
    done = updates.create(desk.db, desk.project.id)
    desk.work()
    return versions.get(desk.db, updates.get(desk.db, done.id).version_id)


def elsewhere(desk: Desk, **values: object) -> Desk:
    """Another project on the same model."""
    texts = [(f"prompt {i}", []) for i in range(3)]
    settings = {**SETTINGS, **values}
    return replace(
        desk, project=projects.create(desk.db, "Other", desk.project.model, texts, settings)
    )


def bytes_of(desk: Desk, version: Version, kind: str) -> bytes:
    with desk.files.open(versions.file(desk.db, version.id, kind).key) as file:
        return file.read()


def bring(desk: Desk, data: bytes, name: str = "From afar") -> Job:
    """Import these bytes, as the page does."""
    stored = desk.files.put(new_key(".safetensors"), data)
    job = imports.create(desk.db, desk.project.id, stored, name)
    desk.work()
    return imports.get(desk.db, job.id)


def sampled(desk: Desk, version: Version) -> np.ndarray:
    asked = samples.create(desk.db, desk.project.id, ["a cat"], [1, 2], version.number, {})
    desk.work()
    _, images = samples.get(desk.db, asked.id)
    return np.stack([np.array(Image.open(desk.files.path(image.key))) for image in images])


@pytest.mark.parametrize("kind", ["diffusers", "kohya"])
def test_out_of_one_project_into_another_and_on_from_there(desk: Desk, kind: str) -> None:
    version = trained(desk)
    pictures = sampled(desk, version)
    other = elsewhere(desk)
    job = bring(other, bytes_of(desk, version, kind))
    assert (job.state, job.error_detail) == ("succeeded", None)

    imported = versions.get(other.db, job.payload["version_id"])
    base = versions.by_number(other.db, other.project.id, 0)
    assert (imported.number, imported.parent_id, imported.name) == (1, base.id, "From afar")
    assert versions.live(other.db, other.project.id).id == base.id
    assert (sampled(other, imported) == pictures).all()
    assert (sampled(other, base) != pictures).any()
    assert samples.probe(other.db, imported.id) is not None
    first = unpack_checkpoint(bytes_of(desk, version, "resume"))
    found = unpack_checkpoint(bytes_of(other, imported, "resume"))
    assert found.shape == first.shape
    assert same(found.adapter, first.adapter)
    assert (found.optimizer, bool(first.optimizer)) == ({}, True)

    versions.activate(other.db, imported.id)
    following = trained(other)
    assert (following.number, following.parent_id) == (2, imported.id)
    assert versions.live(other.db, other.project.id).id == following.id
    learned = unpack_checkpoint(bytes_of(other, following, "resume"))
    assert learned.shape == found.shape
    moved = [(learned.adapter[name] - found.adapter[name]).abs().max() for name in found.adapter]
    assert 0 < max(moved) < 0.5  # it went on from there, and did not start again


def test_what_is_taken_away_again_says_where_it_came_from(desk: Desk) -> None:
    data = bytes_of(desk, trained(desk), "diffusers")
    other = elsewhere(desk)
    job = bring(other, data)
    imported = versions.get(other.db, job.payload["version_id"])
    for kind in ("diffusers", "kohya"):
        taken = bytes_of(other, imported, kind)
        assert f'"loop.imported_sha256":"{job.payload["sha256"]}"'.encode() in taken
        assert b"modelspec.usage_hint" in taken


def test_a_lora_of_another_shape_than_the_settings_keeps_its_own(desk: Desk) -> None:
    data = bytes_of(desk, trained(desk), "kohya")
    other = elsewhere(desk, lora_rank=2, lora_targets="attention")
    imported = versions.get(other.db, bring(other, data).payload["version_id"])
    versions.activate(other.db, imported.id)
    following = trained(other)
    shape = unpack_checkpoint(bytes_of(other, following, "resume")).shape
    assert (shape.rank, shape.targets) == (4, "all")


def test_a_file_that_is_no_lora_fails_with_its_sentence_and_makes_no_version(desk: Desk) -> None:
    job = bring(desk, b"PK\x03\x04 no such thing")
    assert (job.state, job.error_code) == ("failed", "lora_unusable")
    assert "not a whole safetensors file" in (job.error_detail or "")
    assert [version.number for version in versions.list(desk.db, desk.project.id)] == [0]


def test_one_import_of_a_project_waits_at_a_time(desk: Desk) -> None:
    stored = desk.files.put(new_key(".safetensors"), b"x")
    waiting = imports.create(desk.db, desk.project.id, stored, "one")
    with pytest.raises(Conflict, match="being imported") as refusal:
        imports.create(desk.db, desk.project.id, stored, "two")
    assert refusal.value.code == "import_active"
    other = imports.create(desk.db, elsewhere(desk).project.id, stored, "elsewhere")
    assert [one.id for one in imports.list(desk.db, desk.project.id)] == [waiting.id]
    assert imports.get(desk.db, other.id).payload["name"] == "elsewhere"


def test_a_job_of_another_kind_is_no_import(desk: Desk) -> None:
    job = jobs.enqueue(desk.db, "housekeeping")
    with pytest.raises(NotFound, match="no import"):
        imports.get(desk.db, job.id)


def test_what_was_sent_is_kept_until_its_import_has_ended(desk: Desk) -> None:
    stored = desk.files.put(new_key(".safetensors"), b"x")
    job = imports.create(desk.db, desk.project.id, stored, "one")
    assert stored.key in references.keys(desk.db)
    desk.work()
    assert imports.get(desk.db, job.id).state == "failed"
    assert stored.key not in references.keys(desk.db)


def test_the_command_line_imports_a_file(
    desk: Desk,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOOP_STUDIO_DATA", str(settings.data))
    monkeypatch.setenv("LOOP_STUDIO_DATABASE_URL", settings.resolved_database_url)
    monkeypatch.setenv("LOOP_STUDIO_DEVICE", "cpu")
    version = trained(desk)
    taken = ["export", "--project", desk.project.id, "--version", "1", "--out", str(tmp_path)]
    assert app.main(taken) == 0
    file = tmp_path / "pytorch_lora_weights.safetensors"
    assert file.read_bytes() == bytes_of(desk, version, "diffusers")
    other = elsewhere(desk).project.id
    assert app.main(["import", "--project", other, "--file", str(file)]) == 0
    assert capsys.readouterr().out.endswith("version 1\n")
    assert versions.by_number(desk.db, other, 1).name == "pytorch_lora_weights"
    assert app.main(["import", "--project", other, "--file", str(tmp_path / "none")]) == 1
    assert "There is no file" in capsys.readouterr().err


def test_an_import_that_a_killed_run_left_is_ended_first(
    desk: Desk, settings: Settings, tmp_path: Path
) -> None:
    data = bytes_of(desk, trained(desk), "diffusers")
    other = elsewhere(desk)
    stored = desk.files.put(new_key(".safetensors"), data)
    left = imports.create(desk.db, other.project.id, stored, "left")
    assert jobs.claim(desk.db, "killed", kinds=[imports.KIND]) is not None
    (tmp_path / "lora.safetensors").write_bytes(data)
    file = tmp_path / "lora.safetensors"
    assert bring_in(settings, desk.db, other.project.id, file, "mine") == 2
    assert imports.get(desk.db, left.id).payload["version"] == 1


def test_the_command_line_refuses_what_the_page_refuses(
    desk: Desk, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lora.safetensors"
    file.write_bytes(b"x" * 100)
    with pytest.raises(Refused, match="not a whole safetensors file"):
        bring_in(settings, desk.db, desk.project.id, file, "x")
    monkeypatch.setattr(imports, "LARGEST", 99)
    with pytest.raises(TooLarge, match="resize the LoRA"):
        bring_in(settings, desk.db, desk.project.id, file, "x")
