"""The curves on the Train page, and the guard's banner on three pages."""

from __future__ import annotations

import math

import pytest

from loop_studio.guard import Figures, Spread
from loop_studio.storage import projects, samples, updates, versions
from loop_studio.storage.curves import Curves
from loop_studio.storage.files import new_key
from loop_studio.storage.groups import NewImage
from loop_studio.storage.guard import Checked
from loop_studio.storage.projects import RewardWeights
from tests.browser.accessibility import serious
from tests.browser.studio import Studio, picture
from tests.storage.studio import FILES, make_group, rate, start_update

METRICS = (
    "policy/log_ratio_nats",
    "policy/kl_to_base",
    "policy/clip_fraction",
    "policy/effective_sample_size",
    "policy/grad_norm",
    "time/samples_per_s",
)


def figures(number: int) -> Figures:
    clip, shine = Spread(10 - number / 4, 2.0), Spread(0.5 + number / 50, 0.1)
    return Figures(16, 0.0, 0.2 - number / 100, number / 2, {"clip_score": clip, "shine": shine})


def learned(studio: Studio, project, count: int, checked: Checked | None = None) -> None:
    """So many updates, with all that they measure."""
    base = versions.by_number(studio.db, project.id, 0)
    measure(studio, base, 0)
    for number in range(len(updates.list(studio.db, project.id)) + 1, count + 1):
        rate(studio.db, make_group(studio.db, project))
        update, job = start_update(studio.db, project)
        updates.claim_groups(studio.db, update.id)
        steps = {name: [math.exp(-i / 3) + number / 9 for i in range(4)] for name in METRICS}
        timesteps = {
            "timestep": [*range(900, 0, -100)],
            "log_ratio_nats": [0.1 * i for i in range(1, 10)],
            "kl_to_base": [0.2 * i for i in range(1, 10)],
        }
        metrics = {"policy/kl_to_base": number / 3, "reward/advantage_spread": 0.4}
        look = checked or Checked(figures=figures(number).values())
        curves = Curves(steps, timesteps)
        made = updates.publish(studio.db, job, update.id, FILES, metrics, curves, look)
        measure(studio, made, number)


def measure(studio: Studio, version, number: int) -> None:
    probe = {"mean": 10 - number / 4, "low": 9.5 - number / 4, "high": 10.5 - number / 4, "n": 32}
    looks = {"diversity": 0.2 - number / 100, "broken": 0.0}
    measured = {"probe": {"clip_score": probe}, "looks": looks, "guard": figures(number).values()}
    versions.set_metrics(studio.db, version.id, measured)


@pytest.fixture
def project(studio: Studio):
    made = studio.project(("a red fish", "a blue moon", "two stars"), min_groups=1)
    projects.set_reward(studio.db, made.id, RewardWeights(1.0, {"shine": 1.0}))
    return made


def figure(page, title: str):
    """The chart of this title."""
    return page.locator("loop-curves .figure").filter(
        has=page.get_by_role("heading", name=title, exact=True)
    )


def open_train(page, studio: Studio, project) -> None:
    page.goto(f"{studio.url}/train?project={project.id}")
    page.locator("loop-curves .figure").first.wait_for()


def test_curves_answer_three_questions_each_with_a_table(studio, page, project) -> None:
    learned(studio, project, 3)
    open_train(page, studio, project)
    for question in ("Is it better?", "Is it safe?", "How does it learn?"):
        page.get_by_role("heading", name=question).wait_for()
    titles = page.locator("loop-curves h4").all_inner_texts()
    assert titles[0] == "Probe pictures: clip score"
    wanted = {"How near to the limits", "Diversity", "Gradient norm", "Ratio by denoising step"}
    assert wanted <= set(titles)
    legend = page.locator("loop-curves .legend li").all_inner_texts()
    assert legend[0] == "training reward"
    assert "clip score (not trained on)" in legend
    numbers = figure(page, "Probe pictures: clip score").locator("details")
    numbers.locator("summary").click()
    assert numbers.locator("tbody tr").last.inner_text().split() == [
        *("Version", "3"),
        *("9.25", "8.75", "9.75"),
    ]


def test_smoothing_a_log_scale_and_one_update(studio, page, project) -> None:
    learned(studio, project, 3)
    open_train(page, studio, project)
    norm = figure(page, "Gradient norm")

    def drawn() -> str:
        return norm.locator("path.line").last.get_attribute("d") or ""

    plain = drawn()
    page.get_by_label("Smoothing").fill("0.8")
    smooth = drawn()
    assert smooth != plain
    assert norm.locator("path.is-raw").count() == 1
    page.get_by_label("Log scale").check()
    assert drawn() != smooth
    page.get_by_label("Smoothing").fill("0")
    page.reload()  # both are kept in the browser
    page.locator("loop-curves .figure").first.wait_for()
    assert page.get_by_label("Log scale").is_checked()
    page.get_by_label("Show").select_option(label="Update 2")
    first = norm.locator("circle title", has_text="Optimizer step 1").first
    first.wait_for(state="attached")
    assert norm.locator("circle").count() == 4


def test_a_new_version_appears_without_a_reload(studio, page, project) -> None:
    learned(studio, project, 1)
    open_train(page, studio, project)
    probe = figure(page, "Probe pictures: clip score")
    assert probe.locator("circle").count() == 2
    learned(studio, project, 2)
    probe.locator("circle").nth(2).wait_for(state="attached")


HELD = ["16 of 16 probe pictures are blank, blown out or noise; of version 0 it was 0."]


def held(studio: Studio, project) -> None:
    """Version 1, kept back, with pictures of before and after."""
    wall = samples.base_probe(studio.db, project.id)
    cells = samples.cells(wall)

    def drawn(shift: int) -> list[NewImage]:
        return [
            NewImage(i, seed, 64, 64, studio.files.put(new_key(".png"), picture(shift + i)), text)
            for i, (text, seed) in enumerate(cells)
        ]

    samples.add_images(studio.db, wall.id, drawn(100))
    look = Checked(drawn(200), figures(1).values(), HELD, is_held=True)
    learned(studio, project, 1, look)


def test_the_guards_banner_shows_why(studio, page, project) -> None:
    held(studio, project)
    for where in ("train", "versions"):
        page.goto(f"{studio.url}/{where}?project={project.id}")
        page.get_by_role("heading", name="Version 1 is kept, but not live").wait_for()
        assert page.locator("loop-guard .concerns").inner_text() == HELD[0]
        shown = page.locator("loop-guard .beside img")
        assert shown.count() == 6  # three prompts, before and after
        page.wait_for_function(
            """() => [...document.querySelector("loop-guard").shadowRoot.querySelectorAll("img")]
                .every(image => image.naturalWidth > 0)"""
        )
        assert serious(page) == []


def test_staying_from_the_rate_page_by_keyboard(studio, page, project) -> None:
    held(studio, project)
    studio.make_groups(project, 2)
    page.goto(f"{studio.url}/rate?project={project.id}")
    page.get_by_label("Your name").fill("Ada")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="See why").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_text(HELD[0]).wait_for()
    page.keyboard.press("1")  # judges nothing: the dialog has the keys
    page.get_by_role("button", name="Stay with version 0").press("Enter")
    page.locator("loop-guard").wait_for(state="hidden")
    assert versions.live(studio.db, project.id).number == 0
    assert studio.rows(project)[1:] == []  # but for the rating behind version 1
    # nothing of the page is pushed out of the window
    assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")


def test_making_it_live_anyway(studio, page, project) -> None:
    held(studio, project)
    page.goto(f"{studio.url}/train?project={project.id}")
    page.get_by_role("button", name="Make it live anyway").click()
    page.locator("loop-guard").wait_for(state="hidden")
    assert versions.live(studio.db, project.id).number == 1


def test_a_warning_offers_the_way_back(studio, page, project) -> None:
    learned(studio, project, 1)
    warning = Checked(figures=figures(2).values(), concerns=["The reward may be gamed."])
    learned(studio, project, 2, warning)
    page.goto(f"{studio.url}/versions?project={project.id}")
    page.get_by_role("heading", name="Version 2 is live, but look at it.").wait_for()
    page.get_by_role("button", name="Go back to version 1").click()
    page.locator("loop-guard").wait_for(state="hidden")
    assert versions.live(studio.db, project.id).number == 1
