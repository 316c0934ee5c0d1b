"""Every route and page, asked by every role: the table of permissions is what really happens."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from loop_studio.storage.roles import Role
from loop_studio.ui import permissions
from loop_studio.ui.pages import PAGES
from tests.ui.conftest import studio_in
from tests.ui.people import browser, guest, person

SHUT = {"sign_in_required", "role_too_small"}
FILE = {"content-type": "application/octet-stream"}
ENDS = {"/logout", "/api/v1/account/sign-out"}  # the session that asks


@pytest.fixture(scope="module")
def studio(started, tmp_path_factory):
    studio = studio_in(started, tmp_path_factory.mktemp("roles") / "data", with_pages=True)
    with studio.client:
        yield studio
    studio.db.dispose()


@pytest.fixture(scope="module")
def people(studio):
    signed_in = {
        role: person(studio, role.word, role.word)
        for role in (Role.RATER, Role.TRAINER, Role.ADMINISTRATOR)
    }
    return {Role.STRANGER: browser(studio), Role.GUEST: guest(studio), **signed_in}


def own_routes(app: FastAPI) -> list[tuple[str, str]]:
    """Method and template of every route but mounts and the last resort."""
    found = []
    for context in iter_route_contexts(app.routes):
        if context.path not in {permissions.NOWHERE, "/api/v1/openapi.json"}:
            found += [(method, context.path) for method in context.methods or ()]
    return found


def gradio_paths(app: FastAPI) -> list[tuple[str, str]]:
    [mounted] = [
        context.route.app for context in iter_route_contexts(app.routes) if context.path == ""
    ]
    paths = [
        (method, filled(context.path))
        for context in iter_route_contexts(mounted.routes)
        for method in context.methods or ()
        if context.path
    ]
    taken = {filled(path) for _, path in own_routes(app)}
    return [(method, path) for method, path in paths if path not in taken]


def filled(template: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", template)


def code_of(answer) -> str:
    is_json = answer.headers.get("content-type") == "application/json"
    return answer.json().get("code", "") if is_json and answer.content else ""


def test_every_route_has_a_role_and_every_role_a_route(studio):
    routes = own_routes(studio.app)
    undeclared = [route for route in routes if permissions.of_route(*route) is None]
    assert undeclared == []
    assert set(permissions.ROUTES) == {f"{'GET' if m == 'HEAD' else m} {p}" for m, p in routes}
    document = studio.app.openapi()["paths"]
    described = {f"{m.upper()} {path}" for path, methods in document.items() for m in methods}
    templates = {re.sub(r":path\}", "}", route) for route in permissions.ROUTES}
    assert described <= templates


def test_every_route_is_open_to_its_role_and_shut_to_those_below(studio, people):
    wrong = []
    for method, template in own_routes(studio.app):
        least, path = permissions.of_route(method, template), filled(template)
        for role, client in people.items():
            # Roles are compared by their order: what the least one may do, those above may.
            if role > least or (role == least and path in ENDS):
                continue
            answer = client.request(method, path)
            if answer.status_code == 415:  # the body is looked at before the role
                answer = client.request(method, path, headers=FILE)
            is_bare = method == "HEAD" and answer.status_code in {401, 403}  # no body, no code
            is_shut = is_bare or code_of(answer) in SHUT
            if is_shut is (role >= least):
                wrong.append((method, path, role.word, answer.status_code, answer.text[:80]))
    assert wrong == []


def test_gradios_own_addresses_are_shut_to_strangers_and_guests(studio, people):
    paths = gradio_paths(studio.app)
    assert len(paths) > 50
    for method, path in paths:
        assert people[Role.STRANGER].request(method, path).status_code == 401, (method, path)
        if permissions.of_page(path) > Role.GUEST:
            refused = people[Role.GUEST].request(method, path)
            assert refused.status_code == 403, (method, path)


def test_a_page_is_open_to_its_role_and_shut_to_those_below(studio, people):
    for page in PAGES:
        least = permissions.of_page(page.PATH)
        for role, client in people.items():
            for path in (page.PATH, f"{page.PATH}/", f"/{page.PATH}"):
                answer = client.get(path, headers={"accept": "text/html"})
                shown = answer.status_code == 200 and "<loop-" in answer.text
                assert not shown or role >= least, (path, role)
            answer = client.get(page.PATH, headers={"accept": "text/html"})
            if role is Role.STRANGER:
                assert answer.headers["location"].startswith("/login?next=")
            elif role < least:
                assert answer.status_code == 403
                assert "Not for your role" in answer.text
            else:
                assert answer.status_code == 200


def test_a_rater_reaches_what_the_pages_are_made_of(people):
    for path in ("/theme.css", "/static/pages.js"):
        assert people[Role.RATER].get(path).status_code == 200, path
    assert people[Role.GUEST].get("/static/pages.js").status_code == 200
    assert people[Role.GUEST].get("/rate/plain").status_code == 200


def test_a_route_without_a_role_is_refused_to_everyone(studio, people, caplog):
    forgotten = FastAPI.get(studio.app, "/api/v1/forgotten")
    forgotten(lambda: "told")
    studio.app.router.routes.insert(0, studio.app.router.routes.pop())
    del studio.app.state.templates
    answer = people[Role.ADMINISTRATOR].get("/api/v1/forgotten")
    studio.app.router.routes.pop(0)
    assert answer.status_code == 403
    assert "no role is declared for GET /api/v1/forgotten" in caplog.text


def test_a_refusal_names_the_role_and_is_logged(studio, people, caplog):
    """Asked from an address that was not refused so often that it gets no more lines."""
    token = people[Role.RATER].cookies[studio.app.state.keys.cookie]
    answer = browser(studio, token, "10.0.3.1").get("/api/v1/people")
    assert answer.json()["detail"] == (
        "This is for the role administrator; yours is rater. Ask an administrator."
    )
    assert "role_too_small: GET /api/v1/people from 10.0.3.1, as rater: This is" in caplog.text
