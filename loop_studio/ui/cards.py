"""Pages that stand alone, without a script: sign-in, invitations, guests, and plain refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qs

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response

POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_PAGE = Template((Path(__file__).parent / "card.html").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Field:
    """A line to fill in."""

    name: str
    label: str
    kind: str = "text"
    autocomplete: str = "off"
    value: str = ""
    required: bool = True
    hint: str = ""
    longest: int = 1000

    def markup(self, first: bool) -> str:
        """The field as HTML."""
        hint = f'<p class="hint" id="{self.name}-hint">{escape(self.hint)}</p>' if self.hint else ""
        told = f"{self.name}-hint problem" if self.hint else "problem"
        return (
            f'<label for="{self.name}">{escape(self.label)}</label>'
            f'<input id="{self.name}" name="{self.name}" type="{self.kind}" '
            f'autocomplete="{self.autocomplete}" value="{escape(self.value)}" '
            f'maxlength="{self.longest}" aria-describedby="{told}"'
            f"{' required' if self.required else ''}{' autofocus' if first else ''}>{hint}"
        )


def card(
    request: HTTPConnection,
    title: str,
    about: str,
    content: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """A page of one card; `content` is markup, everything else is text."""
    page = _PAGE.substitute(
        root=escape(root_of(request)), title=escape(title), about=escape(about), content=content
    )
    fixed = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY}
    return HTMLResponse(page, status, {**fixed, **(headers or {})})


def form(
    action: str,
    button: str,
    fields: Sequence[Field] = (),
    sentence: str = "",
    hidden: Mapping[str, str] | None = None,
) -> str:
    """A form as markup; `sentence` is what was wrong with the last try."""
    kept = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in (hidden or {}).items()
    )
    lines = "".join(field.markup(first=place == 0) for place, field in enumerate(fields))
    return (
        f'<form method="post" action="{escape(action)}">{kept}{lines}'
        f'<p id="problem" role="alert">{escape(sentence)}</p>'
        f'<button type="submit">{escape(button)}</button></form>'
    )


def link(request: HTTPConnection, path: str, words: str) -> str:
    """A link to another page of the studio, as markup."""
    return f'<p><a href="{escape(root_of(request) + path)}">{escape(words)}</a></p>'


async def filled_in(request: Request) -> dict[str, str]:
    """What a form sends, each field once."""
    sent = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in sent.items()}


def root_of(request: HTTPConnection) -> str:
    """The sub-path that the studio is served under, or nothing."""
    return str(request.scope.get("root_path", ""))


def safe_target(wanted: str) -> str:
    """A path on this studio to go to after signing in; anything else becomes `/`."""
    printable = wanted.isascii() and wanted.isprintable() and " " not in wanted
    inside = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if printable and inside else "/"


def let_in(request: Request, cookie: str, token: str, wanted: str, lasts_s: int) -> Response:
    """Remember a session in this browser, and go where it was wanted.

    SameSite is Lax: with Strict, whoever follows a link to the studio from a mail would arrive
    signed out. Every request that changes something is refused a foreign Origin besides.
    """
    answer = RedirectResponse(root_of(request) + safe_target(wanted), 303)
    answer.set_cookie(
        cookie,
        token,
        max_age=lasts_s,
        path=root_of(request) or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer
