"""Signing in, invitations, tokens, and whose name a judgement bears."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from loop_studio.settings import Settings
from loop_studio.storage import accounts, invitations, sessions
from loop_studio.storage.columns import now
from loop_studio.storage.schema import Invitation, Project
from loop_studio.ui.hosts import check_binding
from loop_studio.ui.sessions import Attempts
from tests.ui.people import PASSWORD, api, browser, person
from tests.ui.studio import add_group, is_problem

WRONG = "Name and password do not match. Try again."


def sign_in(studio, name, password=PASSWORD, address="testclient", wanted="/"):
    client = browser(studio, address=address)
    form = {"name": name, "password": password, "next": wanted}
    return client, client.post("/login", data=form)


def invited(studio, boss, role="rater", **values):
    """The address that someone was sent."""
    return api(boss, "POST", "invitations", {"role": role, **values}).json()["path"]


def accept(studio, path, name="Ann", password=PASSWORD, again=None):
    client = browser(studio)
    form = {"name": name, "password": password, "again": password if again is None else again}
    return client, client.post(path, data=form)


class TestSignIn:
    def test_nobody_signs_in_until_there_is_an_account(self, studio):
        assert studio.client.get("/login", follow_redirects=False).headers["location"] == "/"
        told = studio.api("GET", "session").json()
        assert told == {
            "role": "administrator",
            "name": None,
            "project_id": None,
            "signed_in": False,
            "has_account": False,
        }
        person(studio, "Bo", "administrator")
        is_problem(studio.api("GET", "projects"), 401, "sign_in_required")

    def test_a_name_in_any_case_and_the_password_open_and_lead_on(self, studio):
        accounts.create(studio.db, "Ann", "trainer", PASSWORD)
        client, answer = sign_in(studio, " aNN ", wanted="/train?project=x")
        assert (answer.status_code, answer.headers["location"]) == (303, "/train?project=x")
        assert re.search(
            r"HttpOnly; Max-Age=\d+; Path=/; SameSite=lax$", answer.headers["set-cookie"]
        )
        told = api(client, "GET", "session").json()
        assert (told["name"], told["role"], told["has_account"]) == ("Ann", "trainer", True)

    def test_a_wrong_password_and_an_unknown_name_are_told_alike(self, studio, caplog):
        accounts.create(studio.db, "Ann", "rater", PASSWORD)
        for name in ("Ann", "nobody"):
            _, answer = sign_in(studio, name, "not the password")
            assert answer.status_code == 401
            assert WRONG in answer.text
        assert "from testclient: A wrong password, sign-in as 'nobody'." in caplog.text

    def test_an_account_is_locked_for_a_while_from_wherever_it_is_tried(self, studio, monkeypatch):
        monkeypatch.setattr(Attempts, "LIMIT", 3)
        accounts.create(studio.db, "Lou", "rater", PASSWORD)
        accounts.create(studio.db, "Bea", "rater", PASSWORD)
        for number in range(Attempts.LIMIT):
            assert sign_in(studio, "Lou", "wrong", f"10.0.0.{number}")[1].status_code == 401
        _, locked = sign_in(studio, "LOU", PASSWORD, "10.0.1.1")
        assert locked.status_code == 429
        assert 1 <= int(locked.headers["retry-after"]) <= 300
        assert sign_in(studio, "Bea", PASSWORD, "10.0.1.1")[1].status_code == 303

    def test_signing_out_ends_this_session_and_everywhere_ends_all(self, studio):
        user = accounts.create(studio.db, "Ann", "rater", PASSWORD)
        phone, laptop, desk = (browser(studio, sessions.begin(studio.db, user.id)) for _ in "abc")
        token = phone.cookies.get(studio.app.state.keys.cookie)
        assert phone.post("/logout").headers["location"] == "/login"
        again = browser(studio, token)
        assert api(again, "GET", "session").status_code == 401
        assert api(laptop, "GET", "session").status_code == 200
        assert api(laptop, "POST", "account/sign-out").status_code == 204
        assert api(desk, "GET", "session").status_code == 401

    def test_a_restart_keeps_people_signed_in(self, studio):
        user = accounts.create(studio.db, "Ann", "rater", PASSWORD)
        token = sessions.begin(studio.db, user.id)
        again = studio.restarted(password=None)
        again.cookies.set(again.app.state.keys.cookie, token)
        assert again.get("/api/v1/session").json()["name"] == "Ann"

    def test_the_shared_password_still_administers_beside_accounts(self, locked):
        person(locked, "Ann", "rater")
        client, answer = sign_in(locked, "", "correct horse")
        assert answer.status_code == 303
        assert api(client, "GET", "people").json()["people"][0]["name"] == "Ann"


class TestInvitations:
    def test_one_makes_an_account_once(self, studio, boss):
        path = invited(studio, boss, "trainer")
        page = browser(studio).get(path)
        assert "You are invited as a trainer" in page.text
        client, answer = accept(studio, path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert api(client, "GET", "session").json()["role"] == "trainer"
        assert sign_in(studio, "Ann")[1].status_code == 303
        _, second = accept(studio, path, "Eve")
        assert second.status_code == 410
        assert "This link was used already; it works once." in second.text

    def test_what_is_over_says_so(self, studio, boss, caplog):
        old, taken_back = invited(studio, boss), invited(studio, boss)
        first, second = api(boss, "GET", "invitations").json()["invitations"]
        with studio.db.write() as session:
            session.get(Invitation, first["id"]).expires_at = now() - timedelta(seconds=1)
        api(boss, "DELETE", f"invitations/{second['id']}")
        for path, words in ((old, "has run out"), (taken_back, "was withdrawn")):
            for answer in (browser(studio).get(path), accept(studio, path)[1]):
                assert answer.status_code == 410
                assert words in answer.text
        assert "This link was withdrawn." in caplog.text
        assert browser(studio).get(old[:-1]).status_code == 404
        assert api(boss, "GET", "invitations").json() == {"invitations": []}

    @pytest.mark.parametrize(
        ("values", "status", "words"),
        [
            ({"password": "short"}, 422, "A password has 10 to 1,000 characters"),
            ({"password": "aaaaaaaaaaaa"}, 422, "too easy to guess"),
            ({"again": "something else"}, 422, "The two passwords differ"),
            ({"name": "n" * 10_000}, 422, "name must have 1 to 80 characters"),
            ({"name": " "}, 422, "name must have 1 to 80 characters"),
            ({"name": "line\nbreak"}, 422, "name must have 1 to 80 characters"),
            ({"name": "Gus (guest)"}, 422, "kept for guests"),
            ({"name": "\uff22\uff2f"}, 409, "There is someone called"),
        ],
    )
    def test_a_bad_name_or_password_is_told_and_the_link_still_works(
        self, studio, boss, values, status, words
    ):
        path = invited(studio, boss)
        _, answer = accept(studio, path, **values)
        assert answer.status_code == status
        assert words in answer.text
        assert accept(studio, path)[1].status_code == 303

    def test_markup_in_a_name_is_text(self, studio, boss):
        name = "<img src=x onerror=alert(1)>"
        client, answer = accept(studio, invited(studio, boss), name)
        assert answer.status_code == 303
        assert api(client, "GET", "session").json()["name"] == name
        again = accept(studio, invited(studio, boss), name)[1]
        assert answer.status_code == 303
        assert "<img" not in again.text

    def test_the_first_account_is_an_administrators(self, studio):
        refused = studio.api("POST", "invitations", {"role": "rater"})
        is_problem(refused, 409, "no_administrator")
        path = studio.api("POST", "invitations", {"role": "administrator"}).json()["path"]
        client, _ = accept(studio, path, "Bo")
        assert api(client, "GET", "people").status_code == 200
        assert studio.api("GET", "people").status_code == 401

    def test_a_link_for_a_new_password_ends_the_old_one(self, studio, boss):
        user = accounts.create(studio.db, "Ann", "rater", PASSWORD)
        client, _ = sign_in(studio, "Ann")
        made = api(boss, "POST", f"people/{user.id}/password-link").json()
        assert made["for_account"] == "Ann"
        _, answer = accept(studio, made["path"], password="another four words")
        assert answer.status_code == 303
        assert api(client, "GET", "session").status_code == 401
        assert sign_in(studio, "Ann")[1].status_code == 401


class TestPeople:
    def test_the_last_administrator_stays(self, studio, boss):
        [bo] = api(boss, "GET", "people").json()["people"]
        for change in ({"role": "rater"}, {"active": False}):
            answer = api(boss, "PATCH", f"people/{bo['id']}", change)
            is_problem(answer, 409, "last_administrator")
        person(studio, "Cy", "administrator")
        assert api(boss, "PATCH", f"people/{bo['id']}", {"role": "rater"}).status_code == 200
        assert api(boss, "GET", "people").status_code == 403

    def test_whoever_is_deactivated_is_out_at_once(self, studio, boss):
        ann = person(studio, "Ann", "trainer")
        user = accounts.named(studio.db, "ann")
        _, token = sessions.make_token(studio.db, user.id, "script", "train")
        bearer = {"authorization": f"Bearer {token}"}
        assert api(browser(studio), "GET", "jobs", headers=bearer).status_code == 200
        assert api(boss, "PATCH", f"people/{user.id}", {"active": False}).status_code == 200
        assert api(ann, "GET", "projects").status_code == 401
        assert api(browser(studio), "GET", "jobs", headers=bearer).status_code == 401

    def test_another_password_wants_the_old_one_and_ends_all_sessions(self, studio):
        accounts.create(studio.db, "Ann", "rater", PASSWORD)
        client, _ = sign_in(studio, "Ann")
        new = {"password": "wrong", "new_password": "another four words"}
        is_problem(api(client, "POST", "account/password", new), 403, "wrong_password")
        weak = {"password": PASSWORD, "new_password": "short"}
        is_problem(api(client, "POST", "account/password", weak), 422, "weak_password")
        new["password"] = PASSWORD
        assert api(client, "POST", "account/password", new).status_code == 204
        assert api(client, "GET", "session").status_code == 401

    def test_the_old_password_cannot_be_guessed_by_trying(self, studio, monkeypatch):
        monkeypatch.setattr(Attempts, "LIMIT", 3)
        user = accounts.create(studio.db, "Val", "rater", PASSWORD)
        client = browser(studio, sessions.begin(studio.db, user.id), "10.0.4.1")
        new = {"password": "wrong", "new_password": "another four words"}
        for _ in range(Attempts.LIMIT):
            is_problem(api(client, "POST", "account/password", new), 403, "wrong_password")
        new["password"] = PASSWORD
        locked = api(client, "POST", "account/password", new)
        is_problem(locked, 429, "too_many_attempts")
        assert int(locked.headers["retry-after"]) >= 1

    def test_a_change_is_written_down_with_the_name_of_who_made_it(self, studio, boss):
        tess = person(studio, "Tess", "trainer")
        api(tess, "PATCH", f"projects/{studio.project}", {"name": "Renamed"})
        assert api(boss, "GET", "audit").json()["changes"][-1]["actor"] == "Tess"


class TestTokens:
    def test_a_token_does_no_more_than_its_scope_and_its_owner(self, studio):
        trainer = person(studio, "Tess", "trainer")
        too_much = api(trainer, "POST", "account/tokens", {"name": "a", "scope": "administer"})
        is_problem(too_much, 403, "forbidden")
        made = api(trainer, "POST", "account/tokens", {"name": "script", "scope": "rate"})
        assert made.status_code == 201
        headers = {"authorization": f"Bearer {made.json()['token']}"}
        script = browser(studio)
        path = f"projects/{studio.project}"
        assert api(script, "GET", f"{path}/groups/next", headers=headers).status_code == 204
        refused = api(script, "POST", f"{path}/updates", headers=headers)
        sentence = is_problem(refused, 403, "scope_too_small")
        assert sentence == (
            "This token may only rate; this needs one made by and for a role of trainer."
        )
        more = api(
            script, "POST", "account/tokens", {"name": "b", "scope": "rate"}, headers=headers
        )
        is_problem(more, 403, "not_by_token")
        [listed] = api(trainer, "GET", "account/tokens").json()["tokens"]
        assert "token" not in listed
        other = person(studio, "Ann", "rater")
        is_problem(api(other, "DELETE", f"account/tokens/{listed['id']}"), 404, "not_found")
        assert api(trainer, "DELETE", f"account/tokens/{listed['id']}").status_code == 204
        revoked = api(script, "GET", f"{path}/groups/next", headers=headers)
        is_problem(revoked, 401, "sign_in_required")


class TestNames:
    def test_a_judgement_bears_the_name_of_the_account(self, studio):
        group = add_group(studio)
        ann, bob = person(studio, "Ann", "rater"), person(studio, "Bob", "rater")
        shown = api(ann, "GET", f"projects/{studio.project}/groups/next").json()
        body = studio.rating(shown)
        is_problem(api(ann, "POST", "ratings", {**body, "rater": "Bob"}), 403, "another_rater")
        del body["rater"]
        stored = api(ann, "POST", "ratings", body)
        assert stored.json()["rater"] == "Ann"
        is_problem(api(bob, "POST", f"ratings/{body['event_id']}/undo"), 403, "forbidden")
        for path in (
            f"groups/{group.id}?rater=Ann",
            f"projects/{studio.project}/history?rater=Ann",
        ):
            is_problem(api(bob, "GET", path), 403, "another_rater")
        note = {"rater": "Ann", "note": "not mine"}
        is_problem(api(bob, "PUT", f"groups/{group.id}/remark", note), 403, "another_rater")
        assert api(ann, "POST", f"ratings/{body['event_id']}/undo").json()["status"] == "undone"

    def test_without_accounts_a_name_is_still_asked_for(self, studio):
        group = add_group(studio)
        path = f"projects/{studio.project}"
        for asked in (f"{path}/groups/next", f"groups/{group.id}", f"{path}/history"):
            sentence = is_problem(studio.api("GET", asked), 422, "invalid_value")
            assert sentence == "rater is missing."

    def test_a_path_of_this_machine_is_for_administrators(self, studio, boss, tmp_path):
        with studio.db.write() as session:
            session.get(Project, studio.project).model = "/srv/secret/models/mine"
        trainer = person(studio, "Tess", "trainer")
        path = f"projects/{studio.project}"
        assert api(boss, "GET", path).json()["model"] == "/srv/secret/models/mine"
        assert api(trainer, "GET", path).json()["model"] == "mine"
        assert api(trainer, "GET", "overview").json()["projects"][0]["model"] == "mine"
        probing = api(trainer, "POST", "projects", {"name": "P", "model": str(tmp_path)})
        is_problem(probing, 403, "forbidden")


def test_with_an_account_a_studio_may_listen_to_other_machines():
    check_binding(Settings(host="0.0.0.0"), has_accounts=True)


def test_links_work_below_a_sub_path(studio):
    """As seen by people who come through a proxy on this machine."""
    boss = person(studio, "Bo", "administrator", address="127.0.0.1")
    below = {"x-forwarded-prefix": "/loop"}
    made = api(boss, "POST", "invitations", {"role": "rater"}, headers=below).json()
    assert made["path"].startswith("/loop/invitation/")
    client = browser(studio, address="127.0.0.1")
    page = client.get(made["path"], headers=below)
    assert f'action="{made["path"]}"' in page.text
    assert 'href="/loop/static/sign-in.css"' in page.text
    form = {"name": "Ann", "password": PASSWORD, "again": PASSWORD}
    entered = client.post(made["path"], data=form, headers=below)
    assert entered.headers["location"] == "/loop/"
    assert "Path=/loop;" in entered.headers["set-cookie"]
    assert invitations.waiting(studio.db) == []
