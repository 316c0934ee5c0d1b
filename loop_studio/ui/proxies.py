"""What a proxy says of a request, believed of the proxies that the owner trusts and of no one else.

Only they know the client's address and the scheme it used, and anyone can send a header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_SAID = ("forwarded", "x-real-ip")


class Proxies:
    """Believes `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` of trusted addresses.

    From all others it takes them off, so that nothing further in, Gradio included, reads them.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self.app = app
        self._networks = [ip_network(entry, strict=False) for entry in trusted]
        networks = [str(network) for network in self._networks]
        # uvicorn's own, which every server of it has: client address and scheme.
        self._believing = ProxyHeadersMiddleware(app, networks)  # type: ignore[arg-type]  # uvicorn types ASGI more narrowly than Starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as the client sent it to the outermost trusted proxy."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif self._trusts(scope):
            await self._believing(_as_asked(scope), receive, send)  # type: ignore[arg-type]  # as above
        else:
            await self.app(_bare(scope), receive, send)

    def _trusts(self, scope: Scope) -> bool:
        try:
            peer = ip_address(scope["client"][0])
        except (TypeError, ValueError):  # no client, or a name
            return False
        return any(peer in network for network in self._networks)


def _bare(scope: Scope) -> Scope:
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if not name.startswith(b"x-forwarded-") and name.decode("latin-1") not in _SAID
    ]
    return {**scope, "headers": kept}


def _as_asked(scope: Scope) -> Scope:
    """With the name in `Host` that the client used, which the door will check, and the prefix."""
    headers = Headers(scope=scope)
    name = headers.get("x-forwarded-host", "").partition(",")[0].strip()
    if name:
        changed = MutableHeaders(raw=list(scope["headers"]))
        changed["host"] = name
        del changed["x-forwarded-host"]
        scope = {**scope, "headers": changed.raw}
    prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
    return _under(scope, prefix) if _PREFIX.fullmatch(prefix) else scope


def _under(scope: Scope, prefix: str) -> Scope:
    """With the prefix where ASGI wants it: in `root_path` and at the front of `path`."""
    path = scope["path"]
    if path != prefix and not path.startswith(prefix + "/"):
        path = prefix + path
    return {**scope, "root_path": prefix, "path": path}
