"""The one shape of every error: a plain sentence for people, a snake_case code for programs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from loop_studio import logs
from loop_studio.errors import Conflict, StudioError
from loop_studio.ui.answer_headers import surround

RETRY_SECONDS = 5  # when the studio itself is unready
LONGEST_NAME = 80  # of a wrong field, as an error repeats it

log = logging.getLogger(__name__)

_SENTENCES = {
    "missing": "{name} is missing.",
    "extra_forbidden": "There is no field called {name}.",
    "string_too_short": "{name} must have at least {min_length} characters.",
    "string_too_long": "{name} must have at most {max_length} characters.",
    "string_unicode": "{name} must be text that UTF-8 can hold.",
    "string_pattern_mismatch": "{name} must match {pattern}.",
    "too_short": "{name} must have at least {min_length} entries.",
    "too_long": "{name} must have at most {max_length} entries.",
    "greater_than": "{name} must be above {gt}.",
    "greater_than_equal": "{name} must be at least {ge}.",
    "less_than": "{name} must be below {lt}.",
    "less_than_equal": "{name} must be at most {le}.",
    "finite_number": "{name} must be a finite number.",
    "literal_error": "{name} must be {expected}.",
    "string_type": "{name} must be text.",
    "float_type": "{name} must be a number.",
    "float_parsing": "{name} must be a number.",
    "int_type": "{name} must be a whole number.",
    "int_parsing": "{name} must be a whole number.",
    "int_from_float": "{name} must be a whole number.",
    "bool_type": "{name} must be true or false.",
    "list_type": "{name} must be a list.",
    "dict_type": "{name} must be an object.",
    "model_type": "{name} must be an object.",
    "model_attributes_type": "{name} must be an object.",
    "value_error": "{name}: {error}",
}

_HTTP = {
    400: ("not_json", "The body is not valid JSON."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method; see /api/docs."),
    413: ("too_large", "The request is larger than 1 MiB."),
}


class Problem(BaseModel):
    """Every error answer."""

    detail: str = Field(description="one plain sentence")
    code: str = Field(description="snake_case, for programs")


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in (
        (400, "Not JSON"),
        (401, "Not signed in"),
        (403, "Foreign page or host, or not allowed (yet)"),
        (404, "No such thing"),
        (409, "The present state forbids it"),
        (410, "The link by which the guest came is over"),
        (422, "A value is out of its range"),
        (503, "The studio is not ready; ask again after Retry-After seconds"),
    )
}


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error answer; `extra` joins the JSON, for example the `update_id` of a conflict."""
    readable = detail.encode("utf-8", "replace").decode()
    return JSONResponse(
        {"detail": readable, "code": code, **(extra or {})},
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def install(app: FastAPI) -> None:
    """Answer every exception in the one shape."""
    app.add_exception_handler(StudioError, _studio_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _studio_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StudioError)
    extra = error.extra if isinstance(error, Conflict) else None
    headers = {"Retry-After": str(RETRY_SECONDS)} if error.status == 503 else None
    return problem(error.status, error.code, error.detail, headers=headers, extra=extra)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return problem(400, *_HTTP[400])
    return problem(422, "invalid_value", sentence(first))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, detail = _HTTP.get(error.status_code, ("refused", "The request was refused."))
    return problem(error.status_code, code, detail, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # The server logs the traceback. This answer is made outside every middleware, so its headers
    # are added here.
    log.error("unexpected %s at %s %r", type(error).__name__, request.method, request.url.path)
    answer = problem(
        500,
        "internal_error",
        "Something went wrong inside the studio; its log says what.",
        headers={"X-Request-ID": logs.request_id.get()},
    )
    surround(answer.headers, request.url.path, request.url.scheme)
    return answer


def sentence(error: Mapping[str, Any]) -> str:
    """One plain sentence for one of pydantic's errors: the field and its range."""
    name = _name(error["loc"])
    template = _SENTENCES.get(error["type"])
    if template is None:
        return f"{name} is not valid: {error['msg']}."
    return template.format(name=name, **error.get("ctx", {}))


def _name(place: Sequence[str | int]) -> str:
    name = ".".join(str(part) for part in place[1:]) or "The body"
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "..."
