"""The Projects page, and a version taken home; the jobs run by the worker's own code."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from loop_studio.diffusion.lora_file import Checkpoint, kohya_lora
from loop_studio.jobs.autopilot import make_worker
from loop_studio.storage import exports, imports, jobs, overview, projects, prompts, versions
from loop_studio.storage.files import new_key
from loop_studio.storage.schema import Project
from tests import tiny
from tests.browser.accessibility import serious
from tests.browser.studio import Studio


def work(studio: Studio, *kinds: str) -> None:
    """What the worker does for jobs of these kinds."""
    worker = make_worker(studio.settings, studio.db)
    while job := jobs.claim(studio.db, worker.bench.worker_id, kinds):
        worker.run(job)


def visit(page: Page, studio: Studio, project: Project) -> None:
    page.goto(f"{studio.url}/projects?project={project.id}")
    page.locator("loop-projects[data-state='ready']").wait_for()


def card(page: Page, project: Project):
    return page.locator(f"[data-project='{project.id}']")


def choose(page: Page, project: Project, action: str) -> None:
    card(page, project).locator("summary", has_text="More").click()
    card(page, project).get_by_role("button", name=action).click()


@pytest.fixture
def project(studio: Studio) -> Project:
    made = studio.project()
    studio.make_groups(made, 2)
    return made


def test_three_questions_make_a_project(studio: Studio, page: Page, project, tmp_path) -> None:
    visit(page, studio, project)
    page.get_by_role("button", name="New project").click()
    box = page.get_by_role("dialog", name="New project")
    box.get_by_role("heading", name="What do you start from?").wait_for()
    expect(box.get_by_role("radio", name="The starter")).to_be_checked()
    box.get_by_role("radio", name="Stable Diffusion 1.5 on 8 GB").check()
    box.get_by_text("Settings and why").click()
    box.get_by_text("gradient_checkpointing true").wait_for()
    box.get_by_role("radio", name="The starter").check()
    page.keyboard.press("Enter")
    box.get_by_role("heading", name="What do you want to teach?").wait_for()
    box.get_by_role("radio", name="From a file").check()
    box.get_by_role("button", name="Next").click()
    expect(box.get_by_role("alert")).to_have_text("Choose a file with at least one prompt.")
    listed = tmp_path / "prompts.txt"
    listed.write_text("a red circle\n\na blue star\na red circle\n")
    box.get_by_label("Text file, one prompt per line").set_input_files(listed)
    box.get_by_text("2 prompts", exact=True).wait_for()
    box.get_by_role("button", name="Next").click()
    box.get_by_role("heading", name="Who judges?").wait_for()
    box.get_by_role("radio", name="Both").check()
    box.get_by_label("Name of the project").fill("My ${first}")
    assert serious(page) == []
    box.get_by_role("button", name="Create project").click()
    page.wait_for_url(re.compile(r"/rate\?project="))
    made = projects.get(studio.db, page.url.partition("project=")[2])
    assert (made.name, made.model) == ("My ${first}", "starter")
    assert [p.text for p in prompts.active(studio.db, made.id)] == ["a red circle", "a blue star"]
    reward = projects.reward(studio.db, made.id)
    assert (reward.human, reward.models) == (1.0, {"clip_score": 0.5})


def test_the_name_in_the_navigation_leads_to_all_projects_and_back(studio, page, project) -> None:
    other = studio.project()
    projects.change(studio.db, other.id, name="Other")
    page.goto(f"{studio.url}/train?project={project.id}")
    page.get_by_role("link", name="Project Test; all projects").click()
    page.locator("loop-projects[data-state='ready']").wait_for()
    card(page, other).get_by_role("link", name="Open Other").click()
    page.wait_for_url(re.compile(rf"/train\?project={other.id}"))


def test_rename_clone_archive_restore_and_start_over(studio, page, project) -> None:
    visit(page, studio, project)
    choose(page, project, "Rename")
    page.get_by_label("Name", exact=True).fill("Better")
    page.keyboard.press("Enter")
    card(page, project).get_by_role("heading", name="Better").wait_for()
    choose(page, project, "Clone")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Better, again").wait_for()
    choose(page, project, "Archive")
    page.get_by_role("heading", name="Archived").wait_for()
    assert projects.get(studio.db, project.id).archived
    choose(page, project, "Restore")
    page.get_by_text("Better is back.").wait_for()
    choose(page, project, "Start over")
    page.get_by_role("button", name="Start over", exact=True).click()
    page.get_by_text("Better starts over from the base.").wait_for()


def test_deleting_shows_what_it_frees_and_wants_the_name(studio, page, project) -> None:
    projects.change(studio.db, project.id, name="Doomed")
    size = overview.glance(studio.db, project.id).size
    visit(page, studio, project)
    choose(page, project, "Delete")
    box = page.get_by_role("dialog", name="Delete Doomed")
    assert f"This frees {size / 1000:.1f} kB" in box.inner_text() or size > 9_950
    expect(box.get_by_role("button", name="Delete")).to_be_disabled()
    box.get_by_label("Type the project's name").fill("doomed")
    expect(box.get_by_role("button", name="Delete")).to_be_disabled()
    box.get_by_label("Type the project's name").fill("Doomed")
    box.get_by_role("button", name="Delete").click()
    page.wait_for_url(lambda url: project.id not in url)
    page.locator("loop-projects[data-state='ready']").wait_for()
    assert card(page, project).count() == 0
    assert project.id not in [one.id for one in projects.all(studio.db)]


def test_a_project_leaves_and_comes_back_through_the_page(studio, page, project, tmp_path) -> None:
    projects.change(studio.db, project.id, name="Traveller")
    visit(page, studio, project)
    choose(page, project, "Export")
    page.get_by_text("Waits for the worker").wait_for()
    work(studio, "export")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download traveller-project.zip").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert "manifest.json" in zipfile.ZipFile(file).namelist()
    known = {one.id for one in projects.all(studio.db)}
    page.get_by_label("Exported project").set_input_files(file)
    page.get_by_text("traveller-project waits for the worker").wait_for()
    work(studio, "import_project")
    page.get_by_text("The project is imported.").wait_for()
    [made] = [one for one in projects.all(studio.db) if one.id not in known]
    assert made.name == "Traveller"
    file.write_bytes(file.read_bytes()[:-100])
    page.get_by_label("Exported project").set_input_files(file)
    page.get_by_text("traveller-project waits for the worker").wait_for()
    work(studio, "import_project")
    page.get_by_role("alert").get_by_text("cut off or damaged").wait_for()
    assert {one.id for one in projects.all(studio.db)} == {*known, made.id}


@pytest.fixture
def version(studio: Studio, tmp_path: Path):
    """Version 1 of a tiny model, made of a file."""
    folder = tiny.save_folder(tmp_path / "model")
    quiet = {"auto_update_groups": None, "buffer_groups": 1, "num_inference_steps": 4}
    made = projects.create(studio.db, "Tiny", str(folder), [("a cat", [])], quiet)
    data = kohya_lora(Checkpoint(tiny.policy().adapters.state("live"), tiny.SHAPE, {}, {}), {},
                      name="x")  # fmt: skip
    stored = studio.files.put(new_key(".safetensors"), data)
    imports.create(studio.db, made.id, stored, "Soft light")
    work(studio, imports.KIND)
    return versions.by_number(studio.db, made.id, 1)


def test_a_version_is_taken_home_from_its_row(studio, page, version, tmp_path) -> None:
    page.goto(f"{studio.url}/versions?project={version.project_id}")
    page.get_by_role("button", name="Take version 1 home").click()
    box = page.get_by_role("dialog", name="Take version 1 home")
    box.get_by_role("button", name="Make: LoRA and model card").click()
    box.get_by_text("Waits for the worker").wait_for()
    page.reload()  # a page that is opened meanwhile follows it too
    page.get_by_role("button", name="Take version 1 home").click()
    box.get_by_text("Waits for the worker").wait_for()
    work(studio, exports.KIND)
    box.get_by_text("kept for a week").wait_for()
    with page.expect_download() as download:
        box.get_by_role("link", name="Download tiny-v1.zip").click()
    names = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())).namelist()
    assert {"README.md", "before-after.png", "tiny-v1.safetensors"} <= set(names)
    assert serious(page) == []
    box.get_by_text("Push to the Hugging Face hub").click()
    box.get_by_label("Repository").fill("ada/lora")
    box.get_by_label("Token").fill("hf_x")
    box.get_by_role("button", name="Push to the hub").click()
    box.get_by_text("The hub cannot be reached").wait_for()
    box.get_by_role("button", name="Close").click()
    expect(box).to_have_count(0)
