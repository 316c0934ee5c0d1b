"""People of several roles in front of one studio."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from loop_studio.storage import accounts, guests, sessions
from tests.ui.studio import ORIGIN, Studio

PASSWORD = "four words in a row"


def person(studio: Studio, name: str, role: str, address: str = "testclient") -> TestClient:
    """Someone signed in, in a browser of their own; nobody knows their password."""
    with studio.db.write() as session:
        user = accounts.add(session, name, role, "no password has this hash")
    return browser(studio, sessions.begin(studio.db, user.id), address)


def guest(studio: Studio, name: str = "Gus", **link: Any) -> TestClient:
    """A guest of the starter project, by a link of their own."""
    values = {"note": "", "hours": 1, "most_ratings": None, **link}
    made = guests.create(studio.db, values.pop("project_id", studio.project), **values)
    return browser(studio, guests.enter(studio.db, made.id, name)[1])


def browser(studio: Studio, token: str = "", address: str = "testclient") -> TestClient:
    """A browser with a session, or without one."""
    client = TestClient(
        studio.app,
        base_url=ORIGIN,
        raise_server_exceptions=False,
        follow_redirects=False,
        client=(address, 50000),
    )
    if token:
        client.cookies.set(studio.app.state.keys.cookie, token)
    return client


def api(client: TestClient, method: str, path: str, json: Any = None, **options: Any) -> Any:
    """One request below /api/v1."""
    if json is not None:
        options["json"] = json
    return client.request(method, f"/api/v1/{path}", **options)
