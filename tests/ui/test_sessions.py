"""The studio's own key, links, and patience with wrong passwords."""

from __future__ import annotations

import re
import stat

import pytest

from loop_studio.ui.cards import safe_target
from loop_studio.ui.sessions import KEY_FILE, Attempts, Keys

NOW = 1_700_000_000.0


def test_the_mark_of_a_password_survives_a_restart_and_no_other_has_it(tmp_path):
    mark = Keys(tmp_path, "secret").password_mark
    assert mark == Keys(tmp_path, "secret").password_mark
    assert mark != Keys(tmp_path, "changed").password_mark
    assert mark != Keys(tmp_path / "other", "secret").password_mark
    assert Keys(tmp_path, None).password_mark is None


def test_two_studios_keep_their_cookies_apart(tmp_path):
    assert Keys(tmp_path / "a", None).cookie != Keys(tmp_path / "b", None).cookie


def test_a_link_opens_where_it_was_made_and_nowhere_else(tmp_path):
    keys = Keys(tmp_path / "a", None)
    secret = keys.secret("guest", "abc123")
    assert keys.opened("guest", secret) == "abc123"
    assert re.fullmatch(r"abc123-[A-Za-z0-9_-]{22}", secret)
    assert keys.opened("invitation", secret) is None
    assert Keys(tmp_path / "b", None).opened("guest", secret) is None
    for forged in ("", "-", "abc123", "abc123-", secret[:-1], secret + "a", f"x{secret}", "\xff"):
        assert keys.opened("guest", forged) is None


def test_the_key_is_its_owners_alone(tmp_path):
    Keys(tmp_path / "new", "secret")
    file = tmp_path / "new" / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    Keys(tmp_path / "new", "secret")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == [KEY_FILE]


def test_a_half_written_key_is_replaced(tmp_path):
    (tmp_path / KEY_FILE).write_bytes(b"short")
    keys = Keys(tmp_path, "secret")
    assert Keys(tmp_path, "secret").cookie == keys.cookie


def test_the_password_alone_matches(tmp_path):
    keys = Keys(tmp_path, "sécret")
    assert keys.matches("sécret")
    for wrong in ("", "secret", "sécret ", "sécre", "\ud800"):
        assert not keys.matches(wrong)
        assert not Keys(tmp_path, None).matches(wrong)


def test_ten_wrong_passwords_in_a_minute_ask_for_patience():
    attempts = Attempts()
    for second in range(Attempts.LIMIT):
        assert attempts.wait_seconds("a", NOW + second) == 0
        attempts.wrong("a", NOW + second)
    wait = attempts.wait_seconds("a", NOW + 10)
    assert 0 < wait <= 60
    assert attempts.wait_seconds("b", NOW + 10) == 0
    assert attempts.wait_seconds("a", NOW + 10 + wait) == 0


def test_attempts_remember_a_bounded_number_of_addresses():
    attempts = Attempts()
    for number in range(Attempts.MOST + 50):
        attempts.wrong(str(number), NOW)
    assert len(attempts._wrong) == Attempts.MOST


@pytest.mark.parametrize("wanted", ["/rate", "/rate?project=abc", "/train?project=a%20b"])
def test_sign_in_leads_back_to_the_studio(wanted):
    assert safe_target(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "rate",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/rate\r\nSet-Cookie: a=b",
        "/\t/evil.example",
        "/é",
    ],
)
def test_sign_in_leads_nowhere_else(wanted):
    assert safe_target(wanted) == "/"
