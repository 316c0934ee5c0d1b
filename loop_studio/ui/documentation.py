"""Swagger at /api/docs, from files in static/: it works with every other host blocked."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

OPENAPI = "/api/v1/openapi.json"
_PAGE = Template((Path(__file__).parent / "swagger.html").read_text(encoding="utf-8"))

router = APIRouter(include_in_schema=False)


@router.get("/api/docs")
async def swagger(request: Request) -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE.substitute(root=escape(str(request.scope.get("root_path", "")))))
