"""Blind pairs and hidden repeats in the stream: the page does not tell them from other groups."""

from __future__ import annotations

from loop_studio.storage import groups, projects, prompts, versions
from loop_studio.storage.files import new_key
from loop_studio.storage.projects import RewardWeights
from loop_studio.storage.repeats import LEAST_SINCE
from tests.browser.studio import Rater, Studio, picture
from tests.storage.studio import publish


def make_pairs(studio: Studio, project, count: int, tested=None) -> None:
    """Pairs of a version, the live one unless another is `tested`, and its parent."""
    live = tested or versions.live(studio.db, project.id)
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


def test_a_judged_pair_tells_which_version_drew_which_and_a_candidate_how_long_it_waits(
    studio, page
) -> None:
    project = studio.project(min_groups=1, promotion="pairs", pair_share=0.5)
    studio.make_groups(project, 1)
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    page.keyboard.press("1")
    studio.wait_for_rows(page, project, 1)
    candidate = publish(studio.db, project)
    make_pairs(studio, project, 1, tested=candidate)
    # Where people's ratings count for nothing, pairs are all that they are shown.
    projects.set_reward(studio.db, project.id, RewardWeights(0.0, {"clip_score": 1.0}))
    pair = rater.wait_for_group()
    drawn = dict(zip([image.id for image in groups.images(studio.db, pair)], "10", strict=True))
    shown = [drawn[image] for image in rater.shown()]
    markup = "document.querySelector('loop-rater').shadowRoot.querySelector('.rater').outerHTML"
    assert f"v{shown[0]}<" not in page.evaluate(markup)
    page.keyboard.press("1")
    last = page.locator("loop-rater .last")
    last.get_by_text(f"v{shown[0]}", exact=True).wait_for()
    assert last.locator(".push").all_inner_texts() == [f"v{number}" for number in shown]
    assert last.get_by_alt_text(f"Picture 1: by version {shown[0]}, chosen").count() == 1
    assert last.get_by_alt_text(f"Picture 2: by version {shown[1]}").count() == 1

    page.goto(f"{studio.url}/history?project={project.id}")
    card = page.locator(f"loop-history [data-group='{pair}']")
    card.get_by_text("A blind pair of versions 1 and 0").wait_for()
    assert card.locator(".drawn").all_inner_texts() == [f"Version {number}" for number in shown]
    for place, number in enumerate(shown, start=1):
        with page.expect_download() as started:
            card.get_by_role("link", name=f"Download picture {place}").click()
        assert started.value.suggested_filename.startswith(f"version-{number}-")

    page.goto(f"{studio.url}/train?project={project.id}")
    page.get_by_text("Made version 1, which waits for blind pairs: 1 of 20").wait_for()
