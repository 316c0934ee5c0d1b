"""The Versions page: a tree that people read, tend, branch and prune."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from loop_studio.storage import jobs, updates, versions
from tests.browser.studio import Studio
from tests.browser.tree import grow, publish, render


@pytest.fixture
def project(studio: Studio):
    return studio.project(["a red fish", "a blue star"], min_groups=1)


@pytest.fixture
def tree(studio: Studio, project):
    """0 - 1 - 2 and, from 1, the live 3."""
    first = grow(studio, project, "Ada", "Ben")
    grow(studio, project, "Ben")
    versions.activate(studio.db, first.id)
    grow(studio, project, "Ada")
    render(studio, project)
    return project


def open_page(page, studio: Studio, project) -> None:
    page.goto(f"{studio.url}/versions?project={project.id}")
    page.locator("loop-versions [data-version='0']").wait_for()


def row(page, number: int):
    return page.locator(f"loop-versions [data-version='{number}']")


def more(page, number: int):
    row(page, number).get_by_text("More", exact=True).click()
    return row(page, number).locator(".more")


def test_the_tree_says_what_each_version_came_from(page, studio, tree) -> None:
    open_page(page, studio, tree)
    told = {number: row(page, number).inner_text() for number in range(4)}
    assert "The untouched base" in told[0]
    assert "From version 0" in told[1]
    assert "2 ratings in 2 groups by Ada (1), Ben (1)" in told[1]
    assert "From version 1" in told[2]
    assert "1 rating in 1 group by Ben (1)" in told[2]
    assert "From version 1" in told[3]
    lane = "row => getComputedStyle(row.querySelector('.dot')).left"
    lanes = [row(page, number).evaluate(lane) for number in range(4)]
    assert lanes[3] == lanes[1] == lanes[0] != lanes[2]
    assert row(page, 1).locator(".join").count() == 1
    facts = more(page, 3).inner_text()
    for words in ("people", "As its parent was made.", "KL to base", "1 rating in 1 group by Ada"):
        assert words in facts


def test_an_older_version_is_made_live_and_the_next_update_branches(page, studio, tree) -> None:
    open_page(page, studio, tree)
    row(page, 1).get_by_role("button", name="Make live").click()
    page.get_by_text("The next update starts a branch from it").wait_for()
    row(page, 1).get_by_text("Live", exact=True).wait_for()
    assert versions.live(studio.db, tree.id).number == 1
    made = grow(studio, tree, "Ada")
    row(page, 4).get_by_text("From version 1").wait_for()
    assert versions.get(studio.db, made.id).number == 4


def test_names_notes_and_marks_are_kept(page, studio, tree) -> None:
    open_page(page, studio, tree)
    panel = more(page, 2)
    panel.get_by_label("Name").fill("<b>Bold</b>")
    panel.get_by_label("Note").fill("Too bright.")
    panel.get_by_role("button", name="Save").click()
    row(page, 2).get_by_text("<b>Bold</b>").first.wait_for()
    more_open = row(page, 2).locator(".more")
    more_open.get_by_label("Pinned").check()
    row(page, 2).locator(".badge", has_text="Pinned").wait_for()
    row(page, 2).locator(".more").get_by_label("Kept for training again").check()
    row(page, 2).locator(".badge", has_text="Kept").wait_for()
    page.reload()
    row(page, 2).get_by_text("Too bright.").first.wait_for()
    told = versions.by_number(studio.db, tree.id, 2)
    assert (told.name, told.note, told.pinned, told.kept) == (
        "<b>Bold</b>",
        "Too bright.",
        True,
        True,
    )


def test_a_version_is_deleted_and_the_disk_gets_its_room(page, studio, tree) -> None:
    key = versions.file(studio.db, versions.by_number(studio.db, tree.id, 2).id, "kohya").key
    open_page(page, studio, tree)
    more(page, 2).get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("Version 2 is deleted;").wait_for()
    expect(row(page, 2)).to_have_count(0)
    assert not studio.files.path(key).exists()


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (3, "Version 3 is live; make another version live first."),
        (1, "From version 1 grew versions 2 and 3; delete what grew from it first."),
    ],
)
def test_what_cannot_be_deleted_says_why(page, studio, tree, number, sentence) -> None:
    open_page(page, studio, tree)
    panel = more(page, number)
    panel.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    panel.get_by_text(sentence).wait_for()
    assert row(page, number).is_visible()


def test_what_one_types_outlives_a_change_elsewhere(page, studio, tree) -> None:
    """The list is drawn anew when another version goes live; text and caret stay."""
    open_page(page, studio, tree)
    note = more(page, 2).get_by_label("Note")
    note.press_sequentially("too dark, ")
    versions.activate(studio.db, versions.by_number(studio.db, tree.id, 1).id)
    row(page, 1).get_by_text("Live", exact=True).wait_for()
    page.keyboard.type("but whole")
    expect(note).to_have_value("too dark, but whole")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    row(page, 2).locator("p.note").get_by_text("too dark, but whole").wait_for()


def test_two_people_press_opposite_buttons_at_once(page, context, studio, tree) -> None:
    """One deletes what the other makes live: one of them reads why not, nothing is broken."""
    other = context.new_page()
    open_page(page, studio, tree)
    open_page(other, studio, tree)
    more(other, 2).get_by_role("button", name="Delete").click()
    row(page, 2).get_by_role("button", name="Make live").click()
    row(page, 2).get_by_text("Live", exact=True).wait_for()
    other.get_by_role("dialog").get_by_role("button", name="Delete").click()
    other.get_by_text("Version 2 is live; make another version live first.").wait_for()


def test_a_version_is_trained_again_without_a_rater(page, studio, tree) -> None:
    open_page(page, studio, tree)
    more(page, 3).get_by_role("button", name="Train again without").click()
    box = page.get_by_role("dialog")
    box.locator(".choices > label", has_text="Ben").locator("input").check()
    box.get_by_text("Starts from version 0 and repeats 2 updates with 2 ratings").wait_for()
    box.get_by_role("button", name="Train again").click()
    page.get_by_text("Update 4 is queued: the first of the branch.").wait_for()
    for _ in range(2):
        job = jobs.claim(studio.db, "w", kinds=["update"], project_id=tree.id)
        assert job is not None
        updates.start(studio.db, job.update_id, job)
        publish(studio, job.update_id, job)
    row(page, 5).get_by_text("Version 3 without Ben").first.wait_for()
    assert "From version 4" in row(page, 5).inner_text()
    assert "From version 0" in row(page, 4).inner_text()
    assert "Ben" not in row(page, 4).locator(".quiet").first.inner_text()
    row(page, 3).get_by_text("Live", exact=True).wait_for()
    assert "the last one they had no part in" in more(page, 5).inner_text()


def test_a_file_changed_behind_the_studios_back_is_told_and_not_saved(page, studio, tree) -> None:
    version = versions.by_number(studio.db, tree.id, 2)
    open_page(page, studio, tree)
    link = row(page, 2).get_by_role("link", name="Download version 2 for kohya")
    with page.expect_download() as started:
        link.click()
    assert started.value.suggested_filename == "test-v2.safetensors"
    studio.files.path(versions.file(studio.db, version.id, "kohya").key).write_bytes(b"else")
    link.click()
    page.get_by_text("The kohya file of version 2 was changed or damaged").wait_for()


def test_the_tree_fits_a_telephone(page, studio, tree) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, studio, tree)
    more(page, 2).get_by_role("button", name="Delete").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
