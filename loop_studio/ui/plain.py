"""Rating on a page of its own, without Gradio: for phones, guests and strict browsers.

Nothing on it is inline, so it runs under the policy of the studio's own pages, which forbids every
script but theirs.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from loop_studio import __version__

PATH = "/rate/plain"
_PAGE = Template((Path(__file__).parent / "plain.html").read_text(encoding="utf-8"))

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def rate(request: Request) -> Response:
    """The rater and nothing else; `?project=ID` as on every page."""
    root = escape(str(request.scope.get("root_path", "")))
    page = _PAGE.substitute(root=root, release=__version__)
    return HTMLResponse(page, headers={"Cache-Control": "no-store"})
