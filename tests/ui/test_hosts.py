"""Names, origins and where the studio may listen."""

from __future__ import annotations

import pytest

from loop_studio.errors import StudioError
from loop_studio.settings import Settings, is_loopback
from loop_studio.ui.hosts import Hosts, check_binding, split


def hosts(*allowed: str, host: str = "127.0.0.1") -> Hosts:
    return Hosts(Settings(allowed_hosts=allowed, host=host))


@pytest.mark.parametrize(
    "name",
    ["localhost", "LocalHost:7860", "127.0.0.1", "127.0.0.1:7860", "127.9.9.9", "[::1]:7860"],
)
def test_loopback_names_are_known(name):
    assert hosts().knows(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "evil.example/127.0.0.1",
        "localhost:7860:80",
        "localhost:port",
        "0.0.0.0:7860",
        "192.168.1.5",
        "[::1",
        "2130706433",
        "localhost\\evil.example",
    ],
)
def test_other_names_are_not(name):
    assert not hosts().knows(name)


def test_allowed_names_and_ports_are_known():
    names = hosts("studio.example", "box:8080")
    assert names.knows("studio.example")
    assert names.knows("STUDIO.example:7860")
    assert names.knows("box:8080")
    assert not names.knows("box:9090")
    assert not names.knows("x.studio.example")


def test_the_name_that_the_owner_bound_to_is_known_but_a_wildcard_is_not():
    assert hosts(host="192.168.1.5").knows("192.168.1.5:7860")
    assert hosts(host="fe80::1").knows("[fe80::1]:7860")
    assert not hosts(host="0.0.0.0").knows("0.0.0.0:7860")
    assert not hosts(host="::").knows("[::]:7860")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:7860", "localhost:7860"),
        ("http://127.0.0.1:7860", "127.0.0.1:7860"),
        ("http://[::1]:7860", "[::1]:7860"),
        ("http://localhost", "localhost:80"),
        ("https://studio.example", "studio.example"),
        ("https://studio.example:443", "studio.example"),
        ("https://studio.example", "127.0.0.1:7860"),  # a proxy that rewrites Host
        ("https://studio.example:8443", "studio.example"),  # a proxy that drops the port
    ],
)
def test_the_studios_own_pages_are_own(origin, host):
    assert hosts("studio.example").is_own(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "localhost:7860"),
        ("", "localhost:7860"),
        ("http://evil.example", "localhost:7860"),
        ("http://localhost:3000", "localhost:7860"),
        ("http://127.0.0.1:7860", "localhost:7860"),
        ("http://localhost:7860.evil.example", "localhost:7860"),
        ("http://localhost:7860@evil.example", "localhost:7860"),
        ("file://", "localhost:7860"),
        ("chrome-extension://localhost:7860", "localhost:7860"),
        ("http://studio.example:3000", "studio.example:7860"),
        ("http://studio.example.evil.example", "studio.example"),
        ("http://[::1", "localhost:7860"),
        ("http://localhost:99999", "localhost:7860"),
    ],
)
def test_pages_of_others_are_foreign(origin, host):
    assert not hosts("studio.example").is_own(origin, host)


def test_split_refuses_what_is_no_host():
    assert split("name:1") == ("name", 1)
    assert split("user@name") is None
    assert split("a b/c") is None


def test_binding_beyond_loopback_without_a_password_says_what_to_type():
    with pytest.raises(StudioError) as refused:
        check_binding(Settings(host="0.0.0.0"))
    assert refused.value.code == "password_needed"
    assert "LOOP_STUDIO_PASSWORD=" in refused.value.detail
    assert "make run HOST=0.0.0.0" in refused.value.detail


def test_binding_is_granted_to_loopback_and_with_a_password():
    for host in ("127.0.0.1", "localhost", "::1"):
        check_binding(Settings(host=host))
    check_binding(Settings(host="0.0.0.0", password="secret"))
    assert not is_loopback("0.0.0.0")
