"""What axe says of a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SERIOUS = {"serious", "critical"}


def serious(page: Page) -> list[tuple[str, list[str]]]:
    """What is serious on the page as it is: every rule in light, contrast in dark as well."""
    page.emulate_media(color_scheme="light")
    found = violations(page)
    page.emulate_media(color_scheme="dark")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found += violations(page, runOnly=["color-contrast"])
    page.emulate_media(color_scheme="light")
    return found


def violations(page: Page, **options: object) -> list[tuple[str, list[str]]]:
    hits = Axe().run(page, options={"resultTypes": ["violations"], **options}).response
    return [
        (hit["id"], [node["html"] for node in hit["nodes"]])
        for hit in hits["violations"]
        if hit["impact"] in SERIOUS
    ]
