"""Blind pairs and hidden repeats in the stream: the page does not tell them from other groups."""

from __future__ import annotations

from loop_studio.storage import groups, projects, prompts, versions
from loop_studio.storage.files import new_key
from loop_studio.storage.repeats import LEAST_SINCE
from tests.browser.studio import Rater, Studio, picture
from tests.storage.studio import publish


def make_pairs(studio: Studio, project, count: int) -> None:
    live = versions.live(studio.db, project.id)
    for seed in range(count):
        images = [
            groups.NewImage(
                place, seed, 64, 64, studio.files.put(new_key(".png"), picture(9000 + place + seed))
            )
            for place in range(2)
        ]
        groups.record(
            studio.db,
            job=None,
            project_id=project.id,
            prompt_id=prompts.active(studio.db, project.id)[0].id,
            version_id=live.id,
            opponent_id=live.parent_id,
            revision_id=projects.get(studio.db, project.id).revision_id,
            images=images,
            trajectory=None,
        )


def seen(page) -> tuple[str, ...]:
    """All that a person can see or hear of the group on screen, but for ids and the prompt."""
    return tuple(
        page.locator("loop-rater .tile, loop-rater .actions, loop-rater .ways").evaluate_all(
            """nodes => nodes.map(node => {
                const shown = node.cloneNode(true);
                shown.querySelector(".sitting")?.remove(); // counts what was judged, of any kind
                return shown.outerHTML
                    .replaceAll(/[0-9a-f]{20}/g, "ID")
                    .replaceAll(/Picture \\d/g, "Picture N").replaceAll(/<kbd.*?<\\/kbd>/g, "");
            })"""
        )
    )


def test_a_pair_and_a_repeat_look_like_any_other_group_and_are_answered_by_keys(
    studio, page
) -> None:
    project = studio.project(min_groups=1, repeat_share=0.5, pair_share=0.5)
    studio.make_groups(project, 1)
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    plain = set(seen(page))
    page.keyboard.press("1")
    studio.wait_for_rows(page, project, 1)
    publish(studio.db, project)
    studio.make_groups(project, LEAST_SINCE + 30)
    make_pairs(studio, project, 8)
    rater.wait_for_group()
    kinds: set[str] = set()
    for _ in range(LEAST_SINCE + 25):
        group = rater.wait_for_group()
        kind = groups.get(studio.db, group).kind
        if kind not in kinds:
            kinds.add(kind)
            assert len(rater.shown()) == (2 if kind == "pair" else 4)
            assert set(seen(page)) == plain, kind
        rater.press("1")
        if kinds == {"group", "repeat", "pair"} and kind != "group":
            break
    assert kinds == {"group", "repeat", "pair"}
    words = {
        "pair": "Last group: a blind pair",
        "repeat": "Last group: one you had judged before",
    }
    page.locator("loop-rater .last").get_by_text(words[kind]).wait_for()
    rater.wait_until_sent()
    rows = studio.rows(project)
    assert {row["mode"] for row in rows if row["kind"] == "pair"} == {"pair"}
    assert {row["mode"] for row in rows if row["kind"] != "pair"} == {"best"}
    assert not any(row["usable"] for row in rows if row["kind"] != "group")
    page.goto(f"{studio.url}/versions?project={project.id}")
    page.locator("loop-versions").get_by_text("against version 0").wait_for()
