"""Raters over the API: their figures, their agreement, and whom the studio learns from."""

from __future__ import annotations

from tests.ui.studio import add_group, is_problem


def judged_by(studio, name, group, best=0):
    assert studio.rate(studio.rating(group, best, rater=name)).status_code == 200


def listed(studio):
    answer = studio.api("GET", f"projects/{studio.project}/raters")
    assert answer.status_code == 200
    return {rater["name"]: rater for rater in answer.json()["raters"]}


def test_raters_come_with_figures_and_null_where_nothing_stands_behind_one(studio):
    studio.api("PATCH", f"projects/{studio.project}", {"settings": {"overlap": 2}})
    assert listed(studio) == {}
    add_group(studio)
    shown = studio.next_group("ada").json()
    judged_by(studio, "ada", shown)
    assert listed(studio)["ada"]["agreement"] is None
    judged_by(studio, "bob", shown)
    ada = listed(studio)["ada"]
    assert (ada["excluded"], ada["ratings"], ada["pace_s"]) == (False, 1, 1.2)
    assert (ada["agreement"]["value"], ada["agreement"]["n"]) == (1.0, 1)
    assert 0 < ada["agreement"]["low"] < 1.0 == ada["agreement"]["high"]


def test_agreement_says_how_many_groups_stand_behind_it(studio):
    path = f"projects/{studio.project}/agreement"
    none = {"name": "best_picture", "level": "nominal", "alpha": None, "groups": 0}
    assert studio.api("GET", path).json() == {
        "best_picture": None,
        "measures": [none],
        "least_groups": 10,
    }


def test_excluding_is_repeatable_and_refuses_strangers_and_other_fields(studio):
    add_group(studio)
    judged_by(studio, "ada", studio.next_group("ada").json())
    path = f"projects/{studio.project}/raters/{listed(studio)['ada']['id']}"
    for excluded in (True, True, False):
        answer = studio.api("PATCH", path, {"excluded": excluded})
        assert (answer.status_code, answer.json()["excluded"]) == (200, excluded)
        row = studio.api("GET", f"projects/{studio.project}/ratings.jsonl").json()
        assert row["usable"] is not excluded
    is_problem(studio.api("PATCH", path, {"excluded": "yes"}), 422, "invalid_value")
    is_problem(studio.api("PATCH", path, {"name": "eve"}), 422, "invalid_value")
    stranger = f"projects/{studio.project}/raters/nobody"
    is_problem(studio.api("PATCH", stranger, {"excluded": True}), 404, "not_found")
    is_problem(studio.api("GET", "projects/nowhere/raters"), 404, "not_found")
