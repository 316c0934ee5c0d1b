"""The settings page: saved, refused with a sentence, the reward switched in one click."""

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


def test_the_reward_source_changes_in_one_click(studio, project, page) -> None:
    page.get_by_role("radio", name="Automatic: clip score").check()
    page.get_by_text("Saved. The next update uses it.").wait_for()
    weights = projects.reward(studio.db, project.id)
    assert (weights.human, weights.models["clip_score"]) == (0.0, 1.0)
    page.get_by_role("radio", name="People").check()
    page.wait_for_timeout(500)
    weights = projects.reward(studio.db, project.id)
    assert (weights.human, weights.models.get("clip_score", 0.0)) == (1.0, 0.0)


def test_a_new_project_is_made_from_the_menu(studio, project, page) -> None:
    page.locator("loop-nav").get_by_role("combobox").select_option("new project")
    page.get_by_label("Name").fill("Moons")
    page.locator("loop-nav textarea").fill("a yellow moon\ntwo moons")
    page.get_by_role("button", name="Create project").click()
    page.wait_for_url("**/rate?project=*")
    made = next(one for one in projects.all(studio.db) if one.name == "Moons")
    assert len(prompts.active(studio.db, made.id)) == 2


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
