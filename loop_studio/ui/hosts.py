"""Which names the studio answers to, which pages may call it, and where it may listen."""

from __future__ import annotations

from urllib.parse import urlsplit

from loop_studio.errors import Unready
from loop_studio.settings import Settings, is_loopback

_DEFAULT_PORTS = {"http": 80, "https": 443}

Address = tuple[str, int | None]  # name in lower case, port


def check_binding(settings: Settings, has_accounts: bool = False) -> None:
    """Refuse to listen beyond this machine without a password; the sentence says what to type."""
    if is_loopback(settings.host) or settings.credential or has_accounts:
        return
    raise Unready(
        f"HOST={settings.host} lets other machines in, so a password is needed; type: "
        f"LOOP_STUDIO_PASSWORD='choose one' make run HOST={settings.host}",
        "password_needed",
    )


class Hosts:
    """The names that this studio answers to: loopback, its own bound name, the allowed ones."""

    def __init__(self, settings: Settings) -> None:
        entries = [*settings.allowed_hosts, _bracketed(settings.host)]
        parsed = [parsed for entry in entries if (parsed := split(entry)) and not _any(parsed[0])]
        self._named = frozenset(parsed)

    def knows(self, host: str) -> bool:
        """Whether a `Host` header names this studio."""
        address = split(host)
        return address is not None and (is_loopback(address[0]) or self._allows(address))

    def is_own(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` is the studio's own: same name and port, or an allowed one.

        `localhost` and `127.0.0.1` are different origins, as are two ports: another program's page
        on this machine is foreign.
        """
        try:
            parts = urlsplit(origin)
            page = (parts.hostname or "", parts.port)
        except ValueError:
            return False
        if parts.scheme not in _DEFAULT_PORTS or not page[0]:
            return False
        default = _DEFAULT_PORTS[parts.scheme]
        asked = split(host)
        if asked is None:
            return False
        if _full(page, default) == _full(asked, default):
            return True
        # A proxy may have put another name into Host, or have dropped its port.
        rewritten = asked[0] != page[0] or asked[1] is None
        return rewritten and not is_loopback(page[0]) and self._allows(page)

    def _allows(self, address: Address) -> bool:
        return address in self._named or (address[0], None) in self._named


def split(host: str) -> Address | None:
    """Name and port of `name`, `name:port` or `[v6]:port`; None if it is none of these."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != host or parts.username is not None:
        return None
    return name.rstrip("."), port


def _full(address: Address, default: int) -> Address:
    name, port = address
    return name, default if port is None else port


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _any(name: str) -> bool:
    return name in {"0.0.0.0", "::"}
