"""A LoRA file chosen on the Versions page becomes a version there, or its refusal is read there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from loop_studio.diffusion.lora_file import Checkpoint, kohya_lora
from loop_studio.jobs.autopilot import make_worker
from loop_studio.storage import imports, jobs, projects, versions
from tests import tiny
from tests.browser.studio import Studio


@pytest.fixture
def project(studio: Studio, tmp_path: Path):
    folder = tiny.save_folder(tmp_path / "model")
    quiet = {"auto_update_groups": None, "buffer_groups": 1}
    return projects.create(studio.db, "Tiny", str(folder), [("a cat", [])], quiet)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    state = tiny.policy().adapters.state("live")
    made = tmp_path / "Soft light.safetensors"
    made.write_bytes(kohya_lora(Checkpoint(state, tiny.SHAPE, {}, {}), {}, name="x"))
    return made


def work(studio: Studio) -> None:
    """What the worker does for imports."""
    worker = make_worker(studio.settings, studio.db)
    while job := jobs.claim(studio.db, worker.bench.worker_id, [imports.KIND]):
        worker.run(job)


def choose(page, studio: Studio, project, file: Path) -> None:
    page.goto(f"{studio.url}/versions?project={project.id}")
    page.locator("[data-version='0']").wait_for()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Import a LoRA").click()
    chooser.value.set_files(file)


def test_a_file_becomes_a_version_that_can_be_made_live(studio, project, page, file) -> None:
    choose(page, studio, project, file)
    page.get_by_text("Soft light waits for the worker").wait_for()
    expect(page.get_by_role("button", name="Import a LoRA")).to_be_disabled()
    page.reload()  # a page opened meanwhile follows it too
    page.get_by_text("Soft light waits for the worker").wait_for()
    work(studio)
    row = page.locator("[data-version='1']")
    row.get_by_text("Soft light").wait_for()
    assert "Imported" in row.inner_text()
    assert row.get_by_role("link", name="Download version 1 for kohya").is_visible()
    assert versions.live(studio.db, project.id).number == 0
    expect(page.get_by_role("button", name="Import a LoRA")).to_be_enabled()
    row.get_by_role("button", name="Make live").click()
    row.get_by_text("Live", exact=True).wait_for()
    assert versions.live(studio.db, project.id).number == 1


def test_a_refusal_is_read_and_another_file_can_be_chosen(studio, project, page, tmp_path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not one")
    choose(page, studio, project, broken)
    page.get_by_text("broken waits for the worker").wait_for()
    work(studio)
    alert = page.get_by_role("alert")
    alert.get_by_text("This is not a whole safetensors file.").wait_for()
    assert page.locator("[data-version='1']").count() == 0
    expect(page.get_by_role("button", name="Import a LoRA")).to_be_enabled()
