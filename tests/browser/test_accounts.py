"""From a studio that asks nobody to a team, and a guest with a phone."""

from __future__ import annotations

import pytest

from loop_studio.storage import accounts, guests
from tests.browser.accessibility import serious
from tests.browser.studio import Rater, Studio

PASSWORD = "four words in a row"


@pytest.fixture
def team(own: Studio) -> Studio:
    """A studio of its own: with an account the shared one would ask every test to sign in."""
    return own


def make_account(page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()


def links(page) -> list[str]:
    return page.locator("loop-nav nav > ul > li > a").all_inner_texts()


def test_an_administrator_invites_a_rater_who_sees_and_may_do_less(team, browser, page) -> None:
    project = team.project()
    team.make_groups(project, 3)
    page.goto(f"{team.url}/people?project={project.id}")
    page.get_by_role("button", name="Make the first account").click()
    make_account(page, "Bo")
    page.wait_for_url("**/rate?*")
    page.goto(f"{team.url}/people?project={project.id}")
    page.get_by_placeholder("Whom it is for").fill("for Ray")
    page.get_by_role("button", name="Invite").click()
    address = page.get_by_label("Link: for Ray").input_value()
    assert "Train" in links(page)
    page.locator("loop-nav summary").click()
    page.get_by_role("link", name="People").wait_for()
    page.keyboard.press("Escape")
    assert serious(page) == []

    theirs = browser.new_context()
    ray = theirs.new_page()
    ray.goto(address)
    assert serious(ray) == []
    make_account(ray, "Ray")
    rater = Rater(ray, team.url, project.id)
    ray.goto(rater.url)
    rater.wait_for_group()
    assert ray.get_by_role("button", name="Ray").is_disabled()
    rater.press("1")
    rater.wait_until_sent()
    assert [row["rater"] for row in team.wait_for_rows(ray, project, 1)] == ["Ray"]
    assert links(ray) == ["Rate", "History"]
    ray.goto(f"{team.url}/train")
    assert "This is for the role trainer; yours is rater." in ray.inner_text("main")
    ray.goto(f"{team.url}/account?project={project.id}")
    ray.get_by_role("button", name="Sign out here").click()
    ray.wait_for_url("**/login")
    ray.goto(f"{team.url}/history?project={project.id}")
    ray.get_by_label("Name").fill("ray")
    ray.get_by_label("Password").fill(PASSWORD)
    ray.get_by_role("button", name="Sign in").click()
    ray.wait_for_url(f"**/history?project={project.id}")
    ray.get_by_role("heading", name="Judged by Ray").wait_for()
    theirs.close()


def test_a_guest_rates_on_a_phone_until_the_link_is_withdrawn(team, browser, page) -> None:
    project = team.project()
    team.make_groups(project, 3)
    accounts.create(team.db, "Bo", "administrator", PASSWORD)
    page.goto(f"{team.url}/people?project={project.id}")
    page.get_by_label("Name").fill("Bo")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Most ratings").wait_for()
    page.locator("#guest-project").select_option(project.id)
    page.get_by_role("button", name="Make a link").click()
    address = page.get_by_label("The guest link").input_value()
    code = page.get_by_alt_text("QR code of the link below")
    page.wait_for_function("image => image.naturalWidth > 100", arg=code.element_handle())

    pocket = browser.new_context(viewport={"width": 390, "height": 780}, has_touch=True)
    phone = pocket.new_page()
    phone.goto(address)
    assert serious(phone) == []
    phone.get_by_label("Your name").fill("Gus")
    phone.get_by_role("button", name="Start judging").tap()
    phone.wait_for_url(f"**/rate/plain?project={project.id}")
    rater = Rater(phone, team.url, project.id)
    first = rater.wait_for_group()
    phone.locator("loop-rater .tile .picture").first.tap()
    rater.wait_for_group(other_than=first)
    [row] = team.wait_for_rows(phone, project, 1)
    assert row["rater"] == "Gus (guest)"
    [view] = guests.links(team.db)
    assert (view.guests, view.ratings) == (1, 1)

    guests.revoke(team.db, view.link.id)
    phone.locator("loop-rater .tile .picture").first.tap()
    phone.get_by_text("This guest link was withdrawn").first.wait_for()
    phone.reload()
    assert "Ask whoever sent it for a new one." in phone.inner_text("main")
    pocket.close()
