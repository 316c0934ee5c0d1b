"""The Data page: room, a backup, who changed what, and a person's data removed."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from loop_studio.storage import projects, updates
from tests.browser.accessibility import serious
from tests.browser.studio import Studio
from tests.browser.test_projects import work
from tests.browser.tree import grow

NAME = "Ada ${document.title='x'}"


def test_a_backup_is_made_and_a_person_is_removed(studio: Studio, page: Page) -> None:
    project = studio.project(min_groups=1)
    version = grow(studio, project, NAME, "Bo")
    projects.change(studio.db, project.id, settings={"overlap": 2})
    page.goto(f"{studio.url}/data?project={project.id}")
    page.locator("loop-data[data-state='ready']").wait_for()

    room = page.locator("[data-part='room']")
    room.get_by_text("The data takes").wait_for()
    expect(room.get_by_role("row", name="Versions")).to_contain_text(re.compile(r"\d [kM]B"))

    backups = page.locator("[data-part='backups']")
    backups.get_by_text("There is none yet.").wait_for()
    backups.get_by_role("button", name="Back up now").click()
    backups.get_by_text("A backup waits for the worker.").wait_for()
    work(studio, "housekeeping")
    backups.get_by_text("The backup is made.").wait_for()
    expect(backups.get_by_role("listitem")).to_contain_text("files, ")

    changes = page.locator("[data-part='changes']")
    changes.get_by_label("Project").select_option(project.id)
    # Until the list is this project's alone, it tells of the others' versions too.
    expect(changes.get_by_text("Version 1 went live.")).to_have_count(1)
    changes.get_by_label("Kind").select_option("settings")
    expect(changes.get_by_role("listitem")).to_have_count(1)
    changes.get_by_text("Changed overlap from 1 to 2.").wait_for()

    removal = page.locator("[data-part='removal']")
    removal.get_by_label("Name under which the person rated").fill(NAME)
    page.keyboard.press("Enter")
    removal.get_by_text("1 rating taught version 1").wait_for()
    removal.get_by_role("button", name="Remove …").click()
    box = page.get_by_role("dialog")
    expect(box.get_by_role("button", name="Remove")).to_be_disabled()
    box.get_by_label("Type the name").fill(NAME)
    assert serious(page) == []
    page.keyboard.press("Enter")
    removal.get_by_text("what was removed is still in version 1 (live)").wait_for()
    removal.get_by_role("button", name="Train version 1 again without").click()
    removal.get_by_text("Update 2 is queued").wait_for()
    assert updates.active(studio.db, project.id) is not None
    assert [row["rater"] for row in studio.rows(project)] == ["Bo"]
    assert version.number == 1
    changes.get_by_label("Kind").select_option("rater")
    expect(changes.get_by_role("listitem")).to_contain_text("Removed a rater's data.")
