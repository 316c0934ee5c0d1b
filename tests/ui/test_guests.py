"""Guest links: a name, one project, an end; and what a guest never sees."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loop_studio.storage import guests
from loop_studio.storage.columns import now
from loop_studio.storage.schema import GuestLink
from tests.ui.people import api, browser, guest
from tests.ui.studio import add_group, is_problem


def link(boss, studio, **values):
    body = {"project_id": studio.project, **values}
    return api(boss, "POST", "guest-links", body).json()


def test_a_guest_gives_a_name_and_rates_one_project(studio, boss):
    add_group(studio)
    made = link(boss, studio, note="poster")
    client = browser(studio)
    assert "You are invited to judge pictures of Starter" in client.get(made["path"]).text
    entered = client.post(made["path"], data={"name": "Gus"})
    assert entered.headers["location"] == f"/rate/plain?project={studio.project}"
    assert client.get("/").headers["location"] == entered.headers["location"]
    assert client.get(made["path"]).headers["location"] == entered.headers["location"]
    shown = api(client, "GET", f"projects/{studio.project}/groups/next").json()
    assert client.get(shown["images"][0]["url"]).status_code == 200
    body = studio.rating(shown)
    del body["rater"]
    assert api(client, "POST", "ratings", body).json()["rater"] == "Gus (guest)"
    assert api(client, "POST", f"ratings/{body['event_id']}/undo").status_code == 200
    [listed] = api(boss, "GET", "guest-links").json()["guest_links"]
    assert (listed["guests"], listed["ratings"]) == (1, 0)


def test_two_guests_of_one_name_are_two_raters(studio, boss):
    names = [api(guest(studio, "Gus"), "GET", "session").json()["name"] for _ in "ab"]
    assert names == ["Gus (guest)", "Gus (guest 2)"]


def test_a_guest_sees_nothing_of_another_project(studio, boss):
    mine = studio.project
    other = api(boss, "POST", "projects", {"name": "Other"}).json()["id"]
    group = add_group(studio, other)
    client = guest(studio)
    assert [one["id"] for one in api(client, "GET", "projects").json()["projects"]] == [mine]
    [image, *_] = api(boss, "GET", f"projects/{other}/groups/next?rater=Bo").json()["images"]
    for path in (
        f"projects/{other}",
        f"projects/{other}/status",
        f"projects/{other}/groups/next",
        f"groups/{group.id}",
        f"images/{image['id']}",
    ):
        is_problem(api(client, "GET", path), 403, "another_project")
    body = studio.rating({"id": group.id, "images": []}, rater="Gus (guest)")
    is_problem(api(client, "POST", "ratings", body), 403, "another_project")


@pytest.mark.parametrize(
    ("over", "words"), [("revoked", "was withdrawn"), ("expired", "has run out")]
)
def test_a_link_that_is_over_says_so_to_all_who_came_by_it(studio, boss, over, words):
    made = link(boss, studio)
    client = browser(studio)
    client.post(made["path"], data={"name": "Gus"})
    if over == "revoked":
        assert api(boss, "DELETE", f"guest-links/{made['id']}").status_code == 204
    else:
        with studio.db.write() as session:
            session.get(GuestLink, made["id"]).expires_at = now() - timedelta(seconds=1)
    answer = api(client, "GET", f"projects/{studio.project}/groups/next")
    assert words in is_problem(answer, 410, f"link_{over}")
    page = client.get("/rate/plain", headers={"accept": "text/html"})
    assert page.status_code == 410
    assert words in page.text
    assert client.get(made["path"]).status_code == 410
    assert client.get("/login").status_code == 200


def test_a_limit_of_ratings_is_kept(studio, boss):
    for shade in range(2):
        add_group(studio, shade=shade)
    client = guest(studio, most_ratings=1)
    path = f"projects/{studio.project}/groups/next"
    bodies = []
    for _ in range(2):
        exclude = "".join(f"?exclude={body['group_id']}" for body in bodies)
        bodies.append(studio.rating(api(client, "GET", path + exclude).json()))
    first, second = ({**body, "rater": "Gus (guest)"} for body in bodies)
    assert api(client, "POST", "ratings", first).status_code == 200
    is_problem(api(client, "POST", "ratings", second), 410, "link_full")
    is_problem(api(client, "GET", path), 410, "link_full")
    anew = {**first, "event_id": "anew"}
    assert api(client, "POST", "ratings", anew).status_code == 200


@pytest.mark.parametrize("name", ["", " ", "n" * 61, "a\x00b", "line\nbreak"])
def test_a_bad_name_is_told(studio, boss, name):
    made = link(boss, studio)
    answer = browser(studio).post(made["path"], data={"name": name})
    assert answer.status_code == 422
    assert "name must have 1 to 60 characters" in answer.text


def test_the_code_is_a_picture_of_the_whole_address(studio, boss):
    made = link(boss, studio)
    path = f"guest-links/{made['id']}/code.svg?origin=https://studio.example"
    answer = api(boss, "GET", path)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.content.startswith(b"<svg")
    for origin in ("javascript:alert(1)", "https://a/b", ""):
        path = f"guest-links/{made['id']}/code.svg?origin={origin}"
        is_problem(api(boss, "GET", path), 422, "invalid_value")


def test_a_project_takes_its_links_with_it(studio, boss):
    other = api(boss, "POST", "projects", {"name": "Other"}).json()["id"]
    client = guest(studio, project_id=other)
    deleted = boss.request("DELETE", f"/api/v1/projects/{other}", json={"name": "Other"})
    assert deleted.status_code == 204
    assert api(client, "GET", "projects").status_code == 401
    assert guests.links(studio.db) == []
