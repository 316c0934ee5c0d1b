"""Data on the settings page: lists looked at before they are taken, ratings taken away and back."""

from __future__ import annotations

import json

import pytest

from loop_studio.storage import prompts
from tests.browser.studio import Rater, Studio

LIST = (
    "Prompt,Category\n"
    "a blue moon,x\n"
    "a red fish,x\n"
    "<img src=x onerror=alert(1)>,x\n"
    "a blue moon,x\n"
    "too,many,cells\n"
)


@pytest.fixture
def project(studio: Studio):
    return studio.project(texts=["a red fish", "a tree"])


def open_settings(studio: Studio, page, project) -> None:
    page.goto(f"{studio.url}/settings?project={project.id}")
    page.wait_for_selector("loop-settings[data-state='ready']")


def section(page, title: str):
    """The import of this title, opened."""
    found = page.locator("loop-settings details.import").filter(has_text=title)
    found.locator("summary").click()
    return found


def pick(form, name: str, content: str) -> None:
    file = {"name": name, "mimeType": "", "buffer": content.encode()}
    form.get_by_label("File").set_input_files([file])


def listed(studio: Studio, project) -> list[str]:
    return [prompt.text for prompt in prompts.active(studio.db, project.id)]


def test_a_list_is_looked_at_and_then_added(studio, project, page) -> None:
    open_settings(studio, page, project)
    form = section(page, "Import prompts")
    pick(form, "list.csv", LIST)
    form.get_by_text(
        "3 prompts, 1 of them on the list already; 1 repetition left out. 1 line is left out."
    ).wait_for()
    form.get_by_text("Line 6 This line has 3 cells and the first one 2").wait_for()
    assert form.locator("li.good").all_inner_texts()[2] == "<img src=x onerror=alert(1)>"
    assert listed(studio, project) == ["a red fish", "a tree"]
    form.get_by_role("button", name="Add to the list").click()
    form.get_by_text("Took 3 prompts; the list has 4 now.").wait_for()
    wanted = ["a red fish", "a tree", "a blue moon", "<img src=x onerror=alert(1)>"]
    assert listed(studio, project) == wanted
    page.wait_for_function(
        """wanted => document.querySelector("loop-settings").shadowRoot
            .querySelector("#prompts").value === wanted""",
        arg="\n".join(wanted),
    )


def test_a_pasted_list_replaces_the_old_one_but_no_unsaved_words(studio, project, page) -> None:
    open_settings(studio, page, project)
    form = section(page, "Import prompts")
    form.get_by_label("Or paste a list").fill("two stars\na blue moon\n")
    form.get_by_role("button", name="Check the list").click()
    field = page.get_by_label("Prompts", exact=True)
    field.fill("a red fish\na tree\nhalf written")
    form.get_by_role("button", name="Replace the list").click()
    form.get_by_text("Save your changes to the list above first").wait_for()
    field.fill("a red fish\na tree")
    form.get_by_role("button", name="Replace the list").click()
    form.get_by_text("Took 2 prompts; the list has 2 now.").wait_for()
    assert listed(studio, project) == ["two stars", "a blue moon"]


def test_a_table_without_prompts_is_refused_with_a_sentence(studio, project, page) -> None:
    open_settings(studio, page, project)
    form = section(page, "Import prompts")
    pick(form, "list.tsv", "id\tcolour\n1\tred\n")
    form.locator(".refusal").get_by_text("The table has no column of prompts").wait_for()
    assert form.get_by_role("button", name="Add to the list").count() == 0


def test_ratings_are_taken_away_and_back(studio, project, page) -> None:
    studio.make_groups(project, 2)
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    rater.press("1")
    rater.wait_until_sent()
    open_settings(studio, page, project)
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON lines").click()
    assert download.value.suggested_filename == "test-ratings.jsonl"
    content = download.value.path().read_text()
    assert [json.loads(line)["event_id"] for line in content.splitlines()] == [
        row["event_id"] for row in studio.rows(project)
    ]
    form = section(page, "Import ratings")
    pick(form, "ratings.jsonl", content + "{\n")
    form.get_by_text("0 new ratings, 1 known already. 1 line is left out.").wait_for()
    form.get_by_text("Line 2 This line is not JSON.").wait_for()
    page.get_by_label("Put the images into").check()
    links = page.locator("loop-settings .downloads a").evaluate_all("all => all.map(a => a.search)")
    assert links == ["", "", "", "?images=true", "?images=true"]


def test_nothing_is_cut_off_on_a_telephone(studio, project, page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_settings(studio, page, project)
    section(page, "Import ratings")
    form = section(page, "Import prompts")
    pick(form, "list.csv", LIST)
    form.get_by_role("button", name="Replace the list").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    outside = """all => all.filter(node => node.getBoundingClientRect().right > 390).length"""
    assert page.locator("loop-settings *").evaluate_all(outside) == 0
