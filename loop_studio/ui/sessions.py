"""Signed sessions of the one shared password, and the patience shown to wrong ones."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections import OrderedDict, deque
from pathlib import Path

KEY_FILE = "session.key"
LIFETIME_S = 30 * 24 * 3600
_KEY_BYTES = 32


class Sessions:
    """Issues and checks session tokens `expiry.nonce.signature`.

    The signature hangs on the password and on a key in the data folder: sessions survive a
    restart, and end when the password changes.
    """

    def __init__(self, data: Path, password: str) -> None:
        key = _signing_key(data / KEY_FILE)
        self._password = _digest(password)
        self._key = hmac.digest(key, self._password, "sha256")
        # Two studios on one machine share a cookie jar, so each has its own name.
        self.cookie = f"loop_session_{hashlib.sha256(key).hexdigest()[:8]}"

    def matches(self, password: str) -> bool:
        """Whether this is the password; takes the same time however wrong it is."""
        return hmac.compare_digest(_digest(password), self._password)

    def issue(self, now: float) -> str:
        """A new token."""
        claim = f"{int(now) + LIFETIME_S}.{secrets.token_hex(8)}"
        return f"{claim}.{self._sign(claim)}"

    def valid(self, token: str, now: float) -> bool:
        """Whether we issued this token and it has not run out."""
        claim, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._sign(claim).encode(), signature.encode()):
            return False
        return int(claim.partition(".")[0]) > now

    def _sign(self, claim: str) -> str:
        return hmac.new(self._key, claim.encode("utf-8", "replace"), "sha256").hexdigest()


class Attempts:
    """Counts wrong passwords per address over a sliding window."""

    LIMIT = 10
    WINDOW_S = 60.0
    ADDRESSES = 4096  # remembered at most

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_seconds(self, address: str, now: float) -> int:
        """Whole seconds until this address may try again; 0 if it may now."""
        times = self._wrong.get(address)
        while times and times[0] <= now - self.WINDOW_S:
            times.popleft()
        if times is None or len(times) < self.LIMIT:
            return 0
        return max(1, int(times[0] + self.WINDOW_S - now + 1))

    def wrong(self, address: str, now: float) -> None:
        """Remember a wrong password."""
        self._wrong.setdefault(address, deque(maxlen=self.LIMIT)).append(now)
        self._wrong.move_to_end(address)
        if len(self._wrong) > self.ADDRESSES:
            self._wrong.popitem(last=False)


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
