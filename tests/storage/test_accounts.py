"""What the command line does with accounts, and what is left of secrets in the database."""

from __future__ import annotations

import io
import re

import pytest
from sqlalchemy import text

import app
from loop_studio.errors import Conflict
from loop_studio.storage import accounts, guests, passwords, projects, sessions
from loop_studio.storage.database import Database
from loop_studio.storage.schema import Base

PASSWORD = "four words in a row"


def run(monkeypatch, settings, *arguments: str, password: str = PASSWORD) -> int:
    monkeypatch.setenv("LOOP_STUDIO_DATA", str(settings.data))
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    return app.main(["accounts", *arguments])


@pytest.mark.sqlite
def test_accounts_are_made_and_mended_from_the_command_line(monkeypatch, settings, db, capsys):
    assert run(monkeypatch, settings, "add", "Ann", "--role", "rater") == 1
    assert "The first account must be an administrator's" in capsys.readouterr().err
    assert run(monkeypatch, settings, "add", "Bo Berg", "--role", "administrator") == 0
    assert run(monkeypatch, settings, "add", "Ann", password="short") == 1
    assert "A password has 10 to 1,000 characters" in capsys.readouterr().err
    assert run(monkeypatch, settings, "add", "Ann") == 0
    assert accounts.has_password(db, "bo  berg", PASSWORD).role == "administrator"
    assert run(monkeypatch, settings, "password", "ANN", password="another four words") == 0
    assert accounts.has_password(db, "Ann", PASSWORD) is None
    assert accounts.has_password(db, "Ann", "another four words") is not None
    assert run(monkeypatch, settings, "password", "nobody") == 1
    capsys.readouterr()
    assert run(monkeypatch, settings, "list") == 0
    assert capsys.readouterr().out == "administrator\tBo Berg\nrater\tAnn\n"


def test_no_secret_stands_in_the_database(db: Database):
    project = projects.create(db, "P", "starter", [("a fish", [])], {})
    user = accounts.create(db, "Bo", "administrator", PASSWORD)
    _, token = sessions.make_token(db, user.id, "script", "train")
    session_token = sessions.begin(db, user.id)
    link = guests.create(db, project.id, "", 1, None)
    _, guest_token = guests.enter(db, link.id, "Gus")
    with db.read() as session:
        stored = "\n".join(
            repr(row)
            for table in Base.metadata.sorted_tables
            for row in session.execute(text(f"SELECT * FROM {table.name}"))
        )
    assert re.search(r"\$argon2id\$", stored)
    for secret in (PASSWORD, token, session_token, guest_token):
        assert secret not in stored


def test_a_name_that_nobody_has_costs_as_much_as_one_that_somebody_has(monkeypatch, db):
    accounts.create(db, "Bo", "administrator", PASSWORD)
    passwords.matches(None, "once, so that the hash of nobody's is made")
    verified = []
    real = passwords._hasher.verify
    counting = type("Counting", (), {"verify": lambda _, *a: verified.append(a) or real(*a)})
    monkeypatch.setattr(passwords, "_hasher", counting())
    for name in ("Bo", "nobody"):
        assert accounts.has_password(db, name, "wrong password") is None
    assert len(verified) == 2
    assert {hashed.split("$")[3] for hashed, _ in verified} == {verified[0][0].split("$")[3]}


def test_two_names_that_look_alike_are_one(db: Database):
    accounts.create(db, "Bo Berg", "administrator", PASSWORD)
    for other in ("BO BERG", " bo  berg ", "\uff22o Berg"):
        with pytest.raises(Conflict, match="There is someone called"):
            accounts.create(db, other, "rater", PASSWORD)
