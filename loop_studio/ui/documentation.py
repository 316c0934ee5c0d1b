"""Swagger at /api/docs, from files in static/: it works with every other host blocked."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse

OPENAPI = "/api/v1/openapi.json"

router = APIRouter(include_in_schema=False)


@router.get("/api/docs")
async def swagger(request: Request) -> HTMLResponse:
    """The page."""
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        openapi_url=root + OPENAPI,
        title="LOOP Studio: the API",
        swagger_js_url=f"{root}/static/swagger/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/static/swagger/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
    )
