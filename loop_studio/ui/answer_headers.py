"""The headers of every answer: the release, who may show it where, and which scripts a page runs.

Three policies: Gradio's pages need `unsafe-eval`, the studio's own pages run nothing but files of
`static/`, and an answer that is no page runs nothing at all.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

from starlette.datastructures import MutableHeaders

from loop_studio import __version__

RELEASE_HEADER = "X-Loop-Release"
POLICY_HEADER = "Content-Security-Policy"

OWN_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
_GRADIO_PAGE = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' {inline}; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
_PERMISSIONS = ", ".join(
    f"{name}=()"
    for name in (
        "camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb"
    )
)  # fmt: skip
_YEAR_S = 365 * 24 * 3600
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)


def gradio_policy(page: bytes) -> str:
    """The policy of a page that Gradio made: its inline scripts by their hash, and no others.

    So a script that got into the page later, an `onerror` say, does not run.
    """
    scripts = _INLINE_SCRIPT.findall(page)
    hashes = (b64encode(sha256(script).digest()).decode() for script in scripts)
    return _GRADIO_PAGE.format(inline=" ".join(f"'sha256-{digest}'" for digest in hashes))


def surround(headers: MutableHeaders, path: str, scheme: str) -> None:
    """Add what keeps an answer from being framed, sniffed, sent on or cached."""
    headers[RELEASE_HEADER] = __version__
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Permissions-Policy"] = _PERMISSIONS
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    is_page = headers.get("content-type", "").startswith("text/html")
    headers.setdefault(POLICY_HEADER, OWN_PAGE if is_page else NO_PAGE)
    headers.setdefault("Referrer-Policy", "same-origin")
    if scheme == "https":
        headers.setdefault("Strict-Transport-Security", f"max-age={_YEAR_S}")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if path.startswith("/static/"):
        headers.setdefault("Cache-Control", "no-cache")  # ask each time: an upgrade shows at once
    elif path.startswith("/api/") or path == "/healthz":
        headers.setdefault("Cache-Control", "no-store")
