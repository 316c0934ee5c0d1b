"""What hangs on the studio's own key, and the patience shown to wrong passwords."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from pathlib import Path

KEY_FILE = "session.key"
ACCOUNT_WINDOW_S = 300.0  # longer than an address's: many addresses may try one account
_KEY_BYTES = 32
_SIGNATURE_BYTES = 16


class Keys:
    """The name of the cookie, the shared password, and links that nobody can make up.

    All hang on a key in the data folder. The database holds only ids of links, so that a copy of
    it opens nothing.
    """

    def __init__(self, data: Path, password: str | None) -> None:
        self._key = _signing_key(data / KEY_FILE)
        # Two studios on one machine share a cookie jar, so each has its own name.
        self.cookie = f"loop_session_{hashlib.sha256(self._key).hexdigest()[:8]}"
        self._password = None if password is None else _digest(password)
        # Kept with each session of the shared password: they end when it changes.
        self.password_mark = None if password is None else self._sign(f"password {password}").hex()

    def matches(self, password: str) -> bool:
        """Whether this is the shared password; takes the same time however wrong it is."""
        stored = self._password or b""
        return hmac.compare_digest(_digest(password), stored)

    def secret(self, kind: str, link_id: str) -> str:
        """The last part of a link's address."""
        signature = self._sign(f"{kind} {link_id}")[:_SIGNATURE_BYTES]
        return f"{link_id}-{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    def opened(self, kind: str, secret: str) -> str | None:
        """The id of the link whose address ends in this; None if we made no such address."""
        link_id = secret.partition("-")[0]
        ours = self.secret(kind, link_id).encode()
        return link_id if hmac.compare_digest(ours, secret.encode("utf-8", "replace")) else None

    def _sign(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "replace"), "sha256")


class Attempts:
    """Counts wrong passwords over a sliding window, per address or per account."""

    LIMIT = 10
    MOST = 4096  # addresses or accounts remembered

    def __init__(self, window_s: float = 60.0) -> None:
        self.window_s = window_s
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_seconds(self, who: str, now: float) -> int:
        """Whole seconds until they may try again; 0 if they may now."""
        times = self._wrong.get(who)
        while times and times[0] <= now - self.window_s:
            times.popleft()
        if times is None or len(times) < self.LIMIT:
            return 0
        return max(1, int(times[0] + self.window_s - now + 1))

    def wrong(self, who: str, now: float) -> None:
        """Remember a wrong password."""
        self._wrong.setdefault(who, deque(maxlen=self.LIMIT)).append(now)
        self._wrong.move_to_end(who)
        if len(self._wrong) > self.MOST:
            self._wrong.popitem(last=False)


@dataclass(frozen=True)
class Patience:
    """How often a password may be wrong."""

    addresses: Attempts = field(default_factory=Attempts)
    accounts: Attempts = field(default_factory=lambda: Attempts(ACCOUNT_WINDOW_S))

    def wait_seconds(self, address: str, name: str) -> int:
        """Seconds until this address may try this name again; 0 if it may now."""
        now = time.time()
        waits = self.addresses.wait_seconds(address, now), self.accounts.wait_seconds(name, now)
        return max(waits)

    def wrong(self, address: str, name: str) -> None:
        """Remember a wrong password. The shared one has no name to lock."""
        self.addresses.wrong(address, time.time())
        if name:
            self.accounts.wrong(name, time.time())


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode("utf-8", "replace")).digest()


def _signing_key(file: Path) -> bytes:
    """The key in the data folder, readable by its owner alone; made at the first start."""
    if file.is_file() and len(key := file.read_bytes()) == _KEY_BYTES:
        file.chmod(0o600)
        return key
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key := secrets.token_bytes(_KEY_BYTES))
    fresh.replace(file)
    return key
