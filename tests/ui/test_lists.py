"""Lists taken in over HTTP: looked at first, applied whole or not at all, told line by line."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from loop_studio.storage import exporting, prompts, ratings
from loop_studio.storage.prompts import MOST
from loop_studio.ui.bodies import LARGEST
from tests.ui.studio import PROMPTS, add_group, is_problem

TEXT = {"content-type": "text/plain"}
CSV = {"content-type": "text/csv"}


def send(studio, what: str, content, headers=TEXT, **query):
    path = f"projects/{studio.project}/{what}/import"
    return studio.api("POST", path, content=content, headers=headers, params=query)


def listed(studio) -> list[str]:
    return [prompt.text for prompt in prompts.active(studio.db, studio.project)]


class TestPrompts:
    def test_a_look_changes_nothing(self, studio):
        report = send(studio, "prompts", "a red fish\na blue star\na red fish\n\n", dry_run=True)
        assert report.json() == {
            "dry_run": True,
            "good": 2,
            "known": 1,
            "repeated": 1,
            "total": len(PROMPTS) + 1,
            "prompts": ["a red fish", "a blue star"],
            "wrong": 0,
            "errors": [],
        }
        assert listed(studio) == [text for text, _ in PROMPTS]

    def test_prompts_are_added_at_the_end(self, studio):
        before = listed(studio)
        assert send(studio, "prompts", "a red fish\na zeppelin").json()["total"] == len(before) + 2
        assert listed(studio) == [*before, "a red fish", "a zeppelin"]
        assert prompts.active(studio.db, studio.project)[-1].unknown_words == ["zeppelin"]

    def test_prompts_replace_the_list(self, studio):
        send(studio, "prompts", "Prompts,Category\na fish,x\na blue star,y", CSV, mode="replace")
        assert listed(studio) == ["a fish", "a blue star"]

    def test_bad_lines_are_told_by_their_number(self, studio):
        long, many = "x" * 1001, "red " * 80
        report = send(studio, "prompts", f"a fish\n{long}\n{many}\na moon".encode() + b"\n\xff\n")
        assert report.json()["good"] == 2
        assert report.json()["wrong"] == 3
        told = {error["line"]: error["detail"] for error in report.json()["errors"]}
        assert told[2] == "This prompt has 1001 characters; a prompt has at most 1000."
        assert "tokens" in told[3]
        assert told[5].startswith("This line is not UTF-8")
        assert listed(studio)[-2:] == ["a fish", "a moon"]

    def test_a_table_without_prompts_is_refused_and_changes_nothing(self, studio):
        before = listed(studio)
        answer = send(studio, "prompts", "id,colour\n1,red\n", CSV, mode="replace")
        assert "no column of prompts" in is_problem(answer, 422, "invalid_value")
        assert listed(studio) == before

    def test_a_file_without_one_good_prompt_never_empties_the_list(self, studio):
        before = listed(studio)
        for content in (b"", b"\xff\xfe\n", "x" * 2000):
            answer = send(studio, "prompts", content, mode="replace")
            assert "no prompt" in is_problem(answer, 422, "invalid_value")
            assert send(studio, "prompts", content, dry_run=True).json()["good"] == 0
        assert listed(studio) == before

    def test_far_too_many_lines_fill_the_list_and_the_others_are_counted(self, studio):
        lines = (f"fish {number}\n".encode() * 2 for number in range(150_000))
        report = send(studio, "prompts", lines, mode="replace").json()
        assert (report["good"], report["repeated"]) == (MOST, MOST)
        assert report["wrong"] == 300_000 - 2 * MOST
        assert len(report["errors"]) == 1000
        assert report["errors"][0] == {
            "line": 2 * MOST + 1,
            "detail": "The list is full: it holds at most 2,000 prompts.",
        }
        assert len(listed(studio)) == MOST

    def test_the_list_never_grows_beyond_its_end(self, studio):
        send(studio, "prompts", "\n".join(f"fish {n}" for n in range(MOST)), mode="replace")
        report = send(studio, "prompts", "fish 7\none more\n").json()
        assert (report["good"], report["known"], report["wrong"]) == (1, 1, 1)
        is_problem(send(studio, "prompts", "one more"), 422, "invalid_value")
        assert len(listed(studio)) == MOST


@pytest.mark.parametrize("what", ["prompts", "ratings"])
class TestUploads:
    def test_another_type_is_415(self, reader, what):
        for kind in ("application/json", "application/x-www-form-urlencoded", ""):
            answer = send(reader, what, b"{}", {"content-type": kind})
            assert "Content-Type" in is_problem(answer, 415, "unsupported_media_type")

    def test_an_unknown_project_is_404(self, reader, what):
        answer = reader.api("POST", f"projects/x/{what}/import", content=b"a", headers=TEXT)
        is_problem(answer, 404, "not_found")

    def test_more_than_the_studio_takes_is_413(self, reader, what, monkeypatch):
        monkeypatch.setattr("loop_studio.ui.list_files.LARGEST", 3 * LARGEST)
        chunks = (b" " * 65536 for _ in range(49))
        is_problem(send(reader, what, chunks), 413, "too_large")
        assert send(reader, what, b" " * 2 * LARGEST, dry_run=True).status_code == 200
        assert not list(reader.settings.files.rglob("tmp*"))

    def test_a_stranger_sends_nothing(self, locked_reader, what):
        answer = locked_reader.client.post(f"/api/v1/projects/x/{what}/import", content=b"a")
        assert answer.status_code == 401

    def test_a_foreign_page_sends_nothing(self, reader, what):
        answer = send(reader, what, b"a", {**TEXT, "origin": "https://evil.example"})
        assert answer.status_code == 403


@pytest.fixture
def rated(studio):
    """Six events: three active, one superseded, one undone, one skip."""
    for number in range(2):
        add_group(studio, shade=number * 4)
        group = studio.next_group().json()
        studio.rate(studio.rating(group, best=1))
        studio.rate(studio.rating(group, best=number, rater="=bob"))
    studio.rate(studio.rating(group, rater="=bob", mode="stars", judgement=stars(group)))
    studio.rate(studio.rating(group, rater="cat", mode="skip", judgement={}, order=None))
    undone = studio.rating(group, rater="dan")
    studio.rate(undone)
    studio.api("POST", f"ratings/{undone['event_id']}/undo")
    return studio


def stars(group):
    return {
        image["id"]: [5.0, 3.0, 1.0, None][place] for place, image in enumerate(group["images"])
    }


def rows(studio):
    return list(exporting.rows(studio.db, studio.project))


def facts(studio):
    """The events as their lines tell them; an image left out and one that is null are the same."""
    told = [row.values() for row in rows(studio)]
    for row in told:
        row["judgement"] = {
            id: value for id, value in row["judgement"].items() if value is not None
        }
    return told


def exported(studio, format: str) -> bytes:
    return studio.api("GET", f"projects/{studio.project}/ratings.{format}").content


def forget_ratings(studio) -> None:
    """As after the restore of an older backup: the groups are there, the ratings are not."""
    with studio.db.write() as session:
        for table in ("rewards", "ratings", "raters"):
            if table == "raters":
                session.connection().exec_driver_sql("DELETE FROM assignments")
            session.connection().exec_driver_sql(f"DELETE FROM {table}")
        session.connection().exec_driver_sql("UPDATE groups SET judged_by = 0, usable = false")


@pytest.mark.parametrize("format", ["jsonl", "csv"])
class TestRatings:
    def test_the_same_file_changes_nothing(self, rated, format):
        before = rows(rated)
        report = send(rated, "ratings", exported(rated, format)).json()
        assert report == {
            "dry_run": False, "added": 0, "known": len(before), "wrong": 0, "errors": []
        }  # fmt: skip
        assert rows(rated) == before

    def test_lost_ratings_come_back_as_they_were(self, rated, format):
        before, file = facts(rated), exported(rated, format)
        forget_ratings(rated)
        look = send(rated, "ratings", file, dry_run=True).json()
        assert (look["added"], look["wrong"]) == (len(before), 0)
        assert rows(rated) == []
        assert send(rated, "ratings", file).json()["added"] == len(before)
        assert facts(rated) == before
        assert send(rated, "ratings", file).json()["known"] == len(before)

    def test_an_older_event_never_supersedes_a_newer_one(self, rated, format):
        file = exported(rated, format)
        status = {row.event_id: row.status for row in rows(rated)}
        lost = next(id for id, told in status.items() if told == "superseded")
        with rated.db.write() as session:
            for statement in (
                "DELETE FROM rewards WHERE sequence ="
                f" (SELECT sequence FROM ratings WHERE event_id = '{lost}')",
                f"DELETE FROM ratings WHERE event_id = '{lost}'",
            ):
                session.connection().exec_driver_sql(statement)
        assert send(rated, "ratings", file).json()["added"] == 1
        assert {row.event_id: row.status for row in rows(rated)} == status

    def test_a_known_event_with_other_content_is_told(self, rated, format):
        before = rows(rated)
        file = re.sub(rb"\bada\b", b"eve", exported(rated, format))  # ids may hold these letters
        report = send(rated, "ratings", file).json()
        assert (report["added"], report["wrong"]) == (0, 2)
        assert "was used for another rating" in report["errors"][0]["detail"]
        assert rows(rated) == before

    def test_ratings_of_groups_that_are_elsewhere_are_told(self, rated, format):
        made = rated.api("POST", "projects", json={"name": "Other", "prompts": ["a fish"]}).json()
        path = f"projects/{made['id']}/ratings/import"
        answer = rated.api("POST", path, content=exported(rated, format), headers=TEXT).json()
        assert (answer["added"], answer["known"]) == (0, 0)
        assert answer["wrong"] == len(rows(rated))
        assert answer["errors"][0]["detail"].startswith("There is no group ")


def test_good_ratings_are_kept_and_bad_lines_told(rated):
    lines = exported(rated, "jsonl").splitlines()
    first = json.loads(lines[0])
    bad = [
        b"{", b"[]", b"\xff", b'{"event_id": "x"}', b"[" * 50_000,
        json.dumps({**first, "event_id": "n1", "mode": "stars"}).encode(),
        json.dumps({**first, "event_id": "n2", "mode": "guess"}).encode(),
        json.dumps({**first, "event_id": "n3", "group_id": "../x"}).encode(),
        json.dumps({**first, "event_id": "n4", "rater": " "}).encode(),
        json.dumps({**first, "event_id": "n5", "created_at": "soon"}).encode(),
        json.dumps({**first, "event_id": "n6", "judgement": {"x": 1}}).encode(),
    ]  # fmt: skip
    forget_ratings(rated)
    report = send(rated, "ratings", b"\n".join([lines[0], *bad, *lines[1:]])).json()
    assert (report["added"], report["wrong"]) == (len(lines), len(bad))
    assert [error["line"] for error in report["errors"]] != sorted(range(2, 13))
    told = {error["line"]: error["detail"] for error in report["errors"]}
    assert set(told) == set(range(2, 13))
    assert told[2] == "This line is not JSON."
    assert told[3] == "This line is not a JSON object."
    assert told[5] == "group_id is missing."
    assert "stars" in told[7]
    assert told[8].startswith("mode must be ")
    assert all(detail.endswith(".") for detail in told.values()), told


def test_a_csv_without_a_column_is_refused_in_a_sentence(rated):
    page = io.StringIO(exported(rated, "csv").decode("utf-8-sig"), newline="")
    table = list(csv.reader(page))
    place = table[0].index("group_id")
    cut = io.StringIO(newline="")
    csv.writer(cut).writerows([*row[:place], *row[place + 1 :]] for row in table)
    sentence = is_problem(send(rated, "ratings", cut.getvalue()), 422, "invalid_value")
    assert sentence.startswith("The file has no column group_id;")


def test_imported_ratings_count_for_learning_as_others_do(rated):
    status = rated.api("GET", f"projects/{rated.project}/status").json()
    file = exported(rated, "jsonl")
    forget_ratings(rated)
    send(rated, "ratings", file)
    again = rated.api("GET", f"projects/{rated.project}/status").json()
    for name in ("ratings", "rated_groups", "usable_groups"):
        assert again[name] == status[name]
    with rated.db.read() as session:
        held = session.connection().exec_driver_sql("SELECT count(*) FROM rewards").scalar()
    assert held == sum(value is not None for row in rows(rated) for value in row.rewards.values())


def test_a_batch_is_one_transaction(rated, monkeypatch):
    file = exported(rated, "jsonl")
    forget_ratings(rated)
    monkeypatch.setattr(ratings, "look_after", lambda *_: 1 / 0)
    assert send(rated, "ratings", file).status_code == 500
    assert rows(rated) == []
