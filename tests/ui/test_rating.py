"""The life of a rating through HTTP: served, judged, judged again, taken back, exported."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from loop_studio.storage import groups, workers
from tests.ui.studio import add_group, is_problem, png


def project_status(studio):
    return studio.api("GET", f"projects/{studio.project}/status").json()


def exported(studio):
    answer = studio.api("GET", f"projects/{studio.project}/ratings.jsonl")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


class TestNextGroup:
    def test_none_ready_is_204_with_whole_seconds(self, studio):
        answer = studio.next_group()
        assert answer.status_code == 204
        assert answer.content == b""
        assert re.fullmatch(r"[1-9]\d*", answer.headers["retry-after"])
        assert answer.headers["cache-control"] == "no-store"

    def test_retry_after_follows_the_workers_pace(self, studio):
        worker = workers.register(studio.db, "cpu", 1)
        workers.beat(studio.db, worker.id, "busy")
        workers.set_rollout_seconds(studio.db, worker.id, 37.2)
        studio.next_group()  # the first visit has groups made
        eta = project_status(studio)["next_group_eta_s"]
        assert eta > 5
        assert abs(int(studio.next_group().headers["retry-after"]) - eta) <= 1

    def test_a_group_has_its_pinned_fields_and_no_trace_of_its_making(self, studio):
        made = add_group(studio)
        group = studio.next_group().json()
        assert set(group) == {"id", "kind", "prompt", "version", "images"}
        assert (group["id"], group["kind"], group["version"]) == (made.id, "group", 0)
        assert group["prompt"] == "a red circle"
        assert len(group["images"]) == 4
        for image in group["images"]:
            assert set(image) == {"id", "url", "width", "height", "blurred"}
            assert image["url"] == f"/api/v1/images/{image['id']}"
            assert (image["width"], image["height"]) == (1, 1)

    def test_asked_again_it_is_the_same_in_the_same_order(self, studio):
        for shade in range(3):
            add_group(studio, shade=shade)
        first = studio.next_group().json()
        assert studio.next_group().json() == first

    def test_two_raters_get_different_groups(self, studio):
        add_group(studio)
        add_group(studio)
        assert studio.next_group("ada").json()["id"] != studio.next_group("bob").json()["id"]

    def test_excluded_groups_are_left_out_for_prefetch(self, studio):
        add_group(studio)
        add_group(studio)
        first = studio.next_group().json()["id"]
        second = studio.next_group(exclude=[first]).json()["id"]
        assert second != first
        assert studio.next_group(exclude=[first, second]).status_code == 204

    def test_a_kind_that_there_is_none_of_is_not_replaced_by_another(self, studio):
        add_group(studio)
        assert studio.next_group(kinds="repeat,pair").status_code == 204
        assert studio.next_group(kinds="pair,group").status_code == 200

    @pytest.mark.parametrize("rater", ["", "x" * 81, "x" * 10_000, "nul\x00"])
    def test_a_rater_without_a_fitting_name_is_422(self, studio, rater):
        assert "rater" in is_problem(studio.next_group(rater), 422, "invalid_value")

    def test_a_missing_rater_and_a_strange_kind_are_422(self, studio):
        path = f"projects/{studio.project}/groups/next"
        assert "rater is missing" in is_problem(studio.api("GET", path), 422, "invalid_value")
        is_problem(studio.next_group(kinds="groups"), 422, "invalid_value")

    def test_below_a_sub_path_urls_carry_it(self, studio):
        add_group(studio)
        path = f"/api/v1/projects/{studio.project}/groups/next?rater=ada"
        for address in (
            path,
            "/studio" + path,
        ):  # a proxy that strips the prefix, one that does not
            answer = studio.client.get(address, headers={"x-forwarded-prefix": "/studio"})
            url = answer.json()["images"][0]["url"]
            assert url.startswith("/studio/api/v1/images/")
            assert studio.client.get(url, headers={"x-forwarded-prefix": "/studio"}).content


class TestImages:
    def test_a_picture_is_its_stored_bytes_for_ever(self, studio):
        made = add_group(studio, shade=7)
        stored = {png(7 + place) for place in range(4)}
        for image in studio.next_group().json()["images"]:
            answer = studio.client.get(image["url"])
            stored.remove(answer.content)
            assert answer.headers["content-type"] == "image/png"
            caching = answer.headers["cache-control"]
            assert caching.startswith("private, ")
            assert "immutable" in caching
            assert int(re.search(r"max-age=(\d+)", caching)[1]) >= 31_536_000
        assert made.id
        assert not stored

    def test_a_picture_whose_file_is_gone_is_404(self, studio):
        add_group(studio)
        image = studio.next_group().json()["images"][0]
        studio.files.delete(groups.image(studio.db, image["id"]).key)
        is_problem(studio.client.get(image["url"]), 404, "file_gone")


class TestRatings:
    @pytest.fixture
    def group(self, studio):
        add_group(studio)
        return studio.next_group().json()

    def test_a_rating_is_stored_and_counted(self, studio, group):
        body = studio.rating(group, best=2)
        answer = studio.rate(body)
        assert answer.status_code == 200
        rating = answer.json()
        chosen = group["images"][2]["id"]
        for field in ("event_id", "group_id", "rater", "mode", "judgement"):
            assert rating[field] == body[field]
        assert rating["status"] == "active"
        assert rating["usable"] is True
        assert rating["reason"] == ""
        assert rating["rewards"][chosen] == 1.0
        assert rating["advantages"][chosen] == 0.75
        assert rating["used_by_update_id"] is None
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", rating["created_at"])
        counts = project_status(studio)
        assert (counts["ratings"], counts["rated_groups"], counts["usable_groups"]) == (1, 1, 1)

    def test_the_same_event_twice_is_one_row(self, studio, group):
        body = studio.rating(group)
        assert studio.rate(body).json() == studio.rate(body).json()
        assert len(exported(studio)) == 1

    def test_the_same_event_with_other_content_is_a_conflict(self, studio, group):
        body = studio.rating(group)
        studio.rate(body)
        for change in (
            {"judgement": {group["images"][1]["id"]: 1}},
            {"rater": "bob"},
            {"mode": "skip", "judgement": {}},
        ):
            is_problem(studio.rate({**body, **change}), 409, "event_conflict")
        assert len(exported(studio)) == 1

    def test_identical_posts_at_once_make_one_row(self, studio, group):
        body = studio.rating(group)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: studio.rate(body), range(16)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1
        assert len(exported(studio)) == 1

    def test_different_events_at_once_leave_one_active(self, studio, group):
        bodies = [studio.rating(group, best=best % 4) for best in range(8)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda body: studio.rate(body), bodies))
        assert {answer.status_code for answer in answers} == {200}
        kept = [row["status"] for row in exported(studio)]
        assert sorted(kept) == ["active"] + ["superseded"] * 7
        assert project_status(studio)["ratings"] == 1

    def test_a_new_event_supersedes_the_older_one_which_stays(self, studio, group):
        first, second = studio.rating(group, best=0), studio.rating(group, best=1)
        studio.rate(first)
        studio.rate(second)
        assert [row["status"] for row in exported(studio)] == ["superseded", "active"]
        assert studio.rate(first).json()["status"] == "superseded"

    def test_undo_brings_the_group_back_and_can_be_repeated(self, studio, group):
        body = studio.rating(group)
        studio.rate(body)
        add_group(studio, shade=50)
        for _ in range(2):
            undone = studio.api("POST", f"ratings/{body['event_id']}/undo")
            assert undone.status_code == 200
            assert undone.json()["status"] == "undone"
        assert studio.next_group().json()["id"] == group["id"]
        assert project_status(studio)["ratings"] == 0
        assert [row["status"] for row in exported(studio)] == ["undone"]

    @pytest.mark.parametrize("event_id", ["a/b", "a b", "é", "?x=1#y", "%2F", "x" * 64, ".."])
    def test_any_event_id_can_be_undone(self, studio, group, event_id):
        assert studio.rate(studio.rating(group, event_id=event_id)).status_code == 200
        undone = studio.raw("POST", f"/api/v1/ratings/{quote(event_id, safe='')}/undo")
        assert undone.status_code == 200, undone.body

    @pytest.mark.parametrize(
        ("mode", "values"),
        [
            ("best", [1, 0.5, 0, 0]),
            ("best", [0, 0, 0, 0]),
            ("best", [0.5, 0.5, 0.5, 0.5]),
            ("stars", [1, 5, 3, None]),
            ("good", [0, 1, 1, 0]),
            ("rank", [1, 2, 2, 4]),
            ("skip", []),
        ],
    )
    def test_every_mode_is_taken(self, studio, group, mode, values):
        ids = [image["id"] for image in group["images"]]
        judgement = dict(zip(ids, values, strict=False))
        answer = studio.rate(studio.rating(group, mode=mode, judgement=judgement))
        assert answer.status_code == 200
        signal = len({value for value in values if value is not None}) > 1
        assert answer.json()["usable"] is signal
        assert bool(answer.json()["reason"]) is not signal

    def test_images_left_out_are_null(self, studio, group):
        ids = [image["id"] for image in group["images"]]
        body = studio.rating(group, mode="stars", judgement={ids[0]: 5, ids[1]: 1})
        rating = studio.rate(body).json()
        assert rating["rewards"] == {ids[0]: 1.0, ids[1]: 0.0, ids[2]: None, ids[3]: None}

    def test_what_cannot_be_meant_is_refused_and_changes_nothing(self, studio, group):
        ids = [image["id"] for image in group["images"]]
        other = add_group(studio, shade=90)
        assert other.id != group["id"]
        strange = studio.next_group("bob").json()["images"][0]["id"]
        for change in (
            {"judgement": {strange: 1}},
            {"judgement": {ids[0]: 2}},
            {"judgement": {ids[0]: 1, ids[1]: 1}},
            {"judgement": {ids[0]: "1"}},
            {"judgement": {ids[0]: True}},
            {"judgement": {}},
            {"judgement": None},
            {"judgement": [1, 0, 0, 0]},
            {"mode": "stars", "judgement": {ids[0]: 4.5}},
            {"mode": "stars", "judgement": {ids[0]: 6}},
            {"mode": "good", "judgement": {ids[0]: 0.5}},
            {"mode": "rank", "judgement": {ids[0]: 0}},
            {"mode": "rank", "judgement": {ids[0]: 5}},
            {"mode": "pair", "judgement": {ids[0]: 1, ids[1]: 0}},
            {"mode": "skip", "judgement": {ids[0]: 1}},
            {"mode": "vote"},
            {"order": ids[:3]},
            {"order": [*ids[:3], strange]},
            {"order": [ids[0]] * 4},
            {"order": [*ids, ids[0]]},
            {"rater": ""},
            {"rater": "x" * 81},
            {"event_id": ""},
            {"event_id": "x" * 65},
            {"event_id": 7},
            {"elapsed_ms": "12"},
            {"colour": "red"},
        ):
            answer = studio.rate(studio.rating(group, **change))
            assert answer.status_code == 422, change
            is_problem(answer, 422, answer.json()["code"])
        for missing in ("event_id", "group_id", "rater", "mode", "judgement"):
            body = studio.rating(group)
            del body[missing]
            assert missing in is_problem(studio.rate(body), 422, "invalid_value")
        assert exported(studio) == []
        assert project_status(studio)["ratings"] == 0

    def test_an_unknown_group_is_404(self, studio, group):
        for unknown in ("nothing", "../x", "x" * 65):
            answer = studio.rate(studio.rating(group, group_id=unknown))
            is_problem(answer, 404, "not_found")

    @pytest.mark.parametrize("elapsed", [-1, 86_400_001, 1e300, 10**400, None])
    def test_an_impossible_time_is_forgotten_not_refused(self, studio, group, elapsed):
        assert studio.rate(studio.rating(group, elapsed_ms=elapsed)).status_code == 200
        assert exported(studio)[0]["elapsed_ms"] is None

    @pytest.mark.parametrize("elapsed", [0, 1234.56, 86_400_000])
    def test_a_possible_time_is_kept(self, studio, group, elapsed):
        assert studio.rate(studio.rating(group, elapsed_ms=elapsed)).status_code == 200
        assert exported(studio)[0]["elapsed_ms"] == round(elapsed)

    def test_a_group_tells_its_making_once_judged(self, studio, group):
        path = f"groups/{group['id']}"
        refused = studio.api("GET", path, params={"rater": "ada"})
        is_problem(refused, 403, refused.json()["code"])
        studio.rate(studio.rating(group))
        told = studio.api("GET", path, params={"rater": "ada"}).json()
        assert told["version"] == 0
        assert told["settings"]["group_size"] == 4
        assert {image["seed"] for image in told["images"]} == {100, 101, 102, 103}
        assert studio.api("GET", path, params={"rater": "bob"}).status_code == 403
        is_problem(studio.api("GET", path), 422, "invalid_value")

    def test_the_export_keeps_the_order_of_arrival(self, studio, group):
        bodies = [studio.rating(group, best=best) for best in (0, 1, 2, 3)]
        for body in bodies:
            studio.rate(body)
        rows = exported(studio)
        assert [row["event_id"] for row in rows] == [body["event_id"] for body in bodies]

    @pytest.mark.parametrize(
        "name",
        [
            "${document.title='x'}<img src=x onerror=alert(1)>",
            "עדה",
            "\N{RIGHT-TO-LEFT OVERRIDE}ada",
        ],
        ids=["markup", "right-to-left", "override"],
    )
    def test_hostile_text_is_kept_as_text(self, studio, group, name):
        assert studio.rate(studio.rating(group, rater=name)).json()["rater"] == name
        assert exported(studio)[0]["rater"] == name


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("ratings.jsonl", "application/x-ndjson"),
        ("ratings.csv", "text/csv; charset=utf-8"),
        ("ratings.parquet", "application/vnd.apache.parquet"),
        ("pickapic.parquet", "application/vnd.apache.parquet"),
        ("dataset.zip", "application/zip"),
    ],
)
def test_ratings_are_sent_as_a_file_with_a_name(studio, file, kind):
    add_group(studio)
    studio.rate(studio.rating(studio.next_group().json()))
    answer = studio.api("GET", f"projects/{studio.project}/{file}", params={"images": "true"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["content-disposition"] == f'attachment; filename="starter-{file}"'
    assert "content-length" not in answer.headers
    assert answer.content
