"""Session tokens, their key, and patience with wrong passwords."""

from __future__ import annotations

import stat

import pytest

from loop_studio.ui.sessions import KEY_FILE, LIFETIME_S, Attempts, Sessions
from loop_studio.ui.sign_in import safe_target

NOW = 1_700_000_000.0


def test_a_token_is_valid_until_it_runs_out(tmp_path):
    sessions = Sessions(tmp_path, "secret")
    token = sessions.issue(NOW)
    assert sessions.valid(token, NOW)
    assert sessions.valid(token, NOW + LIFETIME_S - 1)
    assert not sessions.valid(token, NOW + LIFETIME_S)


def test_tokens_survive_a_restart_and_end_with_the_password(tmp_path):
    token = Sessions(tmp_path, "secret").issue(NOW)
    assert Sessions(tmp_path, "secret").valid(token, NOW)
    assert not Sessions(tmp_path, "changed").valid(token, NOW)


def test_a_token_of_another_studio_is_refused(tmp_path):
    token = Sessions(tmp_path / "a", "secret").issue(NOW)
    other = Sessions(tmp_path / "b", "secret")
    assert not other.valid(token, NOW)
    assert other.cookie != Sessions(tmp_path / "a", "secret").cookie


def test_a_changed_token_is_refused(tmp_path):
    sessions = Sessions(tmp_path, "secret")
    expiry, nonce, signature = sessions.issue(NOW).split(".")
    later = str(int(expiry) + 1)
    for forged in (
        "",
        ".",
        "..",
        f"{later}.{nonce}.{signature}",
        f"{expiry}.{nonce}x.{signature}",
        f"{expiry}.{nonce}.{signature[:-1]}",
        f"{expiry}.{nonce}.",
        "\xff.\xff.\xff",
    ):
        assert not sessions.valid(forged, NOW)


def test_the_key_is_its_owners_alone(tmp_path):
    Sessions(tmp_path / "new", "secret")
    file = tmp_path / "new" / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    Sessions(tmp_path / "new", "secret")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == [KEY_FILE]


def test_a_half_written_key_is_replaced(tmp_path):
    (tmp_path / KEY_FILE).write_bytes(b"short")
    sessions = Sessions(tmp_path, "secret")
    assert Sessions(tmp_path, "secret").valid(sessions.issue(NOW), NOW)


def test_the_password_alone_matches(tmp_path):
    sessions = Sessions(tmp_path, "sécret")
    assert sessions.matches("sécret")
    for wrong in ("", "secret", "sécret ", "sécre", "\ud800"):
        assert not sessions.matches(wrong)


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
    for number in range(Attempts.ADDRESSES + 50):
        attempts.wrong(str(number), NOW)
    assert len(attempts._wrong) == Attempts.ADDRESSES


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
