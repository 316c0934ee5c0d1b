"""Whose X-Forwarded-* headers are believed, and that those of others reach nothing."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from loop_studio.errors import Invalid
from loop_studio.settings import Settings, from_environment
from loop_studio.ui.proxies import Proxies

SAID = {
    "host": "inside:7860",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "studio.example",
    "x-forwarded-prefix": "/studio/",
    "x-real-ip": "203.0.113.9",
    "forwarded": "for=203.0.113.9",
}


def passed_on(
    peer: str | None, trusted: tuple[str, ...] = Settings().trusted_proxies, **headers: str
) -> dict[str, Any]:
    """What a request from `peer` looks like behind `Proxies`."""
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    said = headers or SAID
    scope = {
        "type": "http",
        "scheme": "http",
        "path": "/rate",
        "root_path": "",
        "client": peer and (peer, 5000),
        "headers": [(name.encode(), value.encode()) for name, value in said.items()],
    }
    with ThreadPoolExecutor(1) as thread:  # this one may run a browser's event loop
        asked = Proxies(app, trusted)(scope, None, None)  # type: ignore[arg-type]
        thread.submit(asyncio.run, asked).result()
    return seen | {name.decode(): value.decode() for name, value in seen["headers"]}


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("127.0.0.1", ("127.0.0.1", "::1")),
        ("::1", ("127.0.0.1", "::1")),
        ("172.18.0.7", ("172.18.0.1/16",)),
    ],
)
def test_a_trusted_proxy_is_believed(peer: str, trusted: tuple[str, ...]) -> None:
    seen = passed_on(peer, trusted)
    assert seen["client"][0] == "203.0.113.9"
    assert (seen["scheme"], seen["host"]) == ("https", "studio.example")
    assert (seen["root_path"], seen["path"]) == ("/studio", "/studio/rate")


@pytest.mark.parametrize("peer", ["203.0.113.5", "172.18.0.7", "testclient", None])
def test_nobody_else_is(peer: str | None) -> None:
    seen = passed_on(peer)
    assert seen["client"] == (peer and (peer, 5000))
    assert (seen["scheme"], seen["host"]) == ("http", "inside:7860")
    assert (seen["root_path"], seen["path"]) == ("", "/rate")
    assert not {name for name in SAID if name != "host"} & set(seen)


def test_a_client_cannot_put_itself_before_the_proxy() -> None:
    """nginx appends the address it saw to what the client sent."""
    seen = passed_on("127.0.0.1", **{"x-forwarded-for": "127.0.0.1, 198.51.100.1, 203.0.113.9"})
    assert seen["client"][0] == "203.0.113.9"


@pytest.mark.parametrize("entry", ["nginx", "*", "300.0.0.1", "10.0.0.0/99"])
def test_a_trusted_proxy_that_is_no_address_is_named(
    monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setenv("LOOP_STUDIO_TRUSTED_PROXIES", f"127.0.0.1, {entry}")
    with pytest.raises(Invalid, match=r"LOOP_STUDIO_TRUSTED_PROXIES.*172\.18\.0\.0/16") as refused:
        from_environment()
    assert entry in refused.value.detail


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example"])
def test_the_door_checks_the_name_that_a_proxy_passes_on(reader, name) -> None:
    answer = reader.client.get("/api/v1/projects", headers={"x-forwarded-host": name})
    assert (answer.status_code, answer.json()["code"]) == (403, "unknown_host")
