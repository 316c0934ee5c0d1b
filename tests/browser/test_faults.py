"""A data folder that was harmed, as a rater meets it."""

from __future__ import annotations

from playwright.sync_api import Page
from sqlalchemy import select

from loop_studio.storage.schema import Group, Image
from tests.browser.studio import Rater, Studio


def test_a_group_with_a_damaged_picture_is_passed_over_and_asked_for_no_more(
    page: Page, studio: Studio
) -> None:
    project = studio.project()
    studio.make_groups(project, 3)
    with studio.db.read() as session:
        own = select(Group).where(Group.project_id == project.id).order_by(Group.created_at)
        damaged = session.scalars(own).first()
        picture = session.scalars(select(Image).where(Image.group_id == damaged.id)).first()
    path = studio.files.path(picture.key)
    path.write_bytes(path.read_bytes()[:-20])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    rater = Rater(page, studio.url, project.id)
    rater.arrive()
    first = rater.wait_for_group()
    second = rater.press("1")
    assert damaged.id not in {first, second}
    page.keyboard.press("1")
    studio.wait_for_rows(page, project, 2)
    page.wait_for_timeout(1000)
    assert sum(picture.id in url for url in asked) == 2
