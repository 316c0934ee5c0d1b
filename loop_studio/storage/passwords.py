"""Passwords: argon2id by its own library, a few at a time, and as slow for names nobody has."""

from __future__ import annotations

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from loop_studio.errors import Invalid

SHORTEST, LONGEST = 10, 1000  # characters

_hasher = PasswordHasher()
# Each takes 64 MiB for a moment: a flood of sign-ins must not take the machine's memory.
_few = threading.BoundedSemaphore(2)


def check(password: str, name: str) -> None:
    """Raise Invalid for a password that is too short, too long, or the name itself."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(
            f"A password has {SHORTEST} to {LONGEST:,} characters; a few words in a row are easy "
            "to remember.",
            "weak_password",
        )
    if password.casefold() == name.casefold() or len(set(password)) < 4:
        raise Invalid("That password is too easy to guess; choose another.", "weak_password")


def hashed(password: str) -> str:
    """What is stored of a password."""
    with _few:
        return _hasher.hash(password.encode("utf-8", "replace"))


def matches(stored: str | None, password: str) -> bool:
    """Whether this is the password; takes as long where there is no account at all."""
    wanted = stored or _nobodys()
    try:
        with _few:
            _hasher.verify(wanted, password[: LONGEST + 1].encode("utf-8", "replace"))
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


@cache
def _nobodys() -> str:
    return hashed("the password of nobody")
