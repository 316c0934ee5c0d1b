"""The settings page: saved, or refused with a sentence."""

from __future__ import annotations

import pytest

from loop_studio.config import SECTIONS
from loop_studio.storage import exporting, projects, prompts
from tests.browser.studio import Studio
from tests.storage.studio import make_group, rate


@pytest.fixture
def project(studio: Studio, page):
    made = studio.project(texts=["a red fish", "a tree"])
    page.goto(f"{studio.url}/settings?project={made.id}")
    page.wait_for_selector("loop-settings[data-state='ready']")
    return made


def test_every_setting_has_a_field_with_its_value(studio, project, page) -> None:
    values = projects.config(studio.db, project.id).values()
    for names in SECTIONS.values():
        for name in names:
            field = page.locator(f"loop-settings [name='{name}']")
            if isinstance(values[name], bool):
                assert field.is_checked() is values[name]
                continue
            shown = field.input_value()
            assert shown == (
                ""
                if values[name] is None
                else f"{values[name]:g}"
                if isinstance(values[name], float)
                else str(values[name])
            )


def test_the_page_says_which_commit_of_a_hub_model_the_project_stays_with(
    studio, project, page
) -> None:
    model = page.locator("loop-settings .model")
    assert model.inner_text() == "Model: starter"
    projects.pin_model(studio.db, project.id, "0123456789abcdef" * 2 + "01234567")
    page.reload()
    page.get_by_text("Model: starter, always at its commit 0123456789ab").wait_for()


@pytest.mark.parametrize(("typed", "shown"), [("1", "1"), ("four", "'four'"), ("", "''")])
def test_a_value_out_of_range_is_refused_with_a_sentence(
    studio, project, page, typed, shown
) -> None:
    page.locator("[name='group_size']").fill(typed)
    page.get_by_role("button", name="Save", exact=True).click()
    sentence = f"group_size must be a whole number from 2 to 16; it was {shown}."
    page.locator("#refusal-group_size").get_by_text(sentence).wait_for()
    assert projects.config(studio.db, project.id).group_size == 4


def test_changes_are_saved_and_stay(studio, project, page) -> None:
    page.locator("[name='group_size']").fill("6")
    page.locator("[name='auto_update_groups']").fill("24")
    page.locator("[name='default_mode']").select_option("stars")
    page.locator("[name='gradient_checkpointing']").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    config = projects.config(studio.db, project.id)
    assert (config.group_size, config.auto_update_groups, config.default_mode) == (6, 24, "stars")
    assert config.gradient_checkpointing is True
    page.locator("[name='auto_update_groups']").fill("")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    assert projects.config(studio.db, project.id).auto_update_groups is None


def test_prompts_are_saved_line_by_line_and_an_empty_list_is_refused(studio, project, page) -> None:
    field = page.get_by_label("Prompts", exact=True)
    assert field.input_value() == "a red fish\na tree"
    field.fill("  a blue moon  \n\nthree hearts\n")
    page.get_by_role("button", name="Save prompts").click()
    page.get_by_text("Saved.").wait_for()
    texts = [prompt.text for prompt in prompts.active(studio.db, project.id)]
    assert texts == ["a blue moon", "three hearts"]
    field.fill("")
    page.get_by_role("button", name="Save prompts").click()
    page.locator("loop-settings .refusal").get_by_text("prompt").wait_for()
    assert len(prompts.active(studio.db, project.id)) == 2


def test_a_rater_is_excluded_after_a_confirming_sentence_and_taken_back(studio, page) -> None:
    project = studio.project()
    rate(studio.db, make_group(studio.db, project), "Bob")
    page.goto(f"{studio.url}/settings?project={project.id}")
    row = page.locator("loop-settings .raters li")
    row.get_by_text("1 rating").wait_for()
    row.get_by_role("button", name="Exclude").click()
    row.get_by_text("Nothing of Bob is deleted, but no later update learns from it.").wait_for()
    [event] = exporting.rows(studio.db, project.id)
    assert event.usable
    row.get_by_role("button", name="Yes, exclude").click()
    page.get_by_text("Bob is excluded.").wait_for()
    [event] = exporting.rows(studio.db, project.id)
    assert not event.usable
    row.get_by_role("button", name="Learn again").click()
    page.get_by_text("The studio learns from Bob again.").wait_for()
    [event] = exporting.rows(studio.db, project.id)
    assert event.usable
