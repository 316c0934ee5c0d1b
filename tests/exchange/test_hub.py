"""A zip on its way to the hub, against a server that speaks the few addresses that are used."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from loop_studio.errors import Refused
from loop_studio.exchange import hub

FILES = {"README.md": b"# A card\n", "pytorch_lora_weights.safetensors": bytes(range(256)) * 9}


@dataclass
class Hub:
    """What arrived."""

    url: str = ""
    status: int = 200
    tokens: set[str] = field(default_factory=set)
    created: dict[str, Any] = field(default_factory=dict)
    card: str = ""
    uploaded: dict[str, bytes] = field(default_factory=dict)  # by sha256
    commit: list[dict[str, Any]] = field(default_factory=list)

    def files(self) -> dict[str, bytes]:
        """The content of the commit."""
        found = {}
        for line in self.commit:
            value = line["value"]
            if line["key"] == "file":
                found[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                found[value["path"]] = self.uploaded[value["oid"]]
        return found


class Handler(BaseHTTPRequestHandler):
    """The hub's side of one request."""

    told: Hub

    def do_POST(self) -> None:
        self.told.tokens.add(self.headers.get("authorization", ""))
        body = self._body()
        if self.told.status != 200:
            self._answer({"error": "no"}, self.told.status)
            return
        for part, reply in (
            ("/api/repos/create", self._create),
            ("/api/validate-yaml", self._card),
            ("/preupload/", self._modes),
            ("/info/lfs/objects/batch", self._places),
            ("/commit/", self._commit),
        ):
            if part in self.path:
                self._answer(reply(body))

    def do_GET(self) -> None:
        self._answer({"siblings": [], "id": "ada/lora"})

    def do_PUT(self) -> None:
        body, oid = self._body(), self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == oid
        self.told.uploaded[oid] = body
        self._answer({})

    def _create(self, body: bytes) -> Any:
        self.told.created = json.loads(body)
        return {"url": f"{self.told.url}/ada/lora"}

    def _card(self, body: bytes) -> Any:
        self.told.card = json.loads(body)["content"]
        return {"errors": [], "warnings": []}

    def _modes(self, body: bytes) -> Any:
        modes = {True: "lfs", False: "regular"}
        return {
            "files": [
                {
                    "path": one["path"],
                    "shouldIgnore": False,
                    "oid": None,
                    "uploadMode": modes[one["path"].endswith(".safetensors")],
                }
                for one in json.loads(body)["files"]
            ]
        }

    def _places(self, body: bytes) -> Any:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.told.url}/put/{one['oid']}"}}}
            for one in json.loads(body)["objects"]
        ]
        return {"transfer": "basic", "objects": objects}

    def _commit(self, body: bytes) -> Any:
        self.told.commit = [json.loads(line) for line in body.splitlines() if line]
        url = f"{self.told.url}/ada/lora/commit/abc"
        return {"success": True, "commitUrl": url, "commitOid": "abc"}

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    told = Hub()
    running = ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Handler,), {"told": told}))
    told.url = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", told.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    yield told
    running.shutdown()


def archive() -> io.BytesIO:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name, content in FILES.items():
            made.writestr(name, content)
    return data


def test_every_file_arrives_as_it_is_in_one_commit(server: Hub, tmp_path: Path) -> None:
    url = hub.push(archive(), tmp_path, "ada/lora", "hf_token", private=True)
    assert url == f"{server.url}/ada/lora"
    assert server.files() == FILES
    assert server.tokens >= {"Bearer hf_token"}
    assert (server.created["name"], server.created["visibility"]) == ("lora", "private")
    assert server.card == "# A card\n"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, "does not know this token"), (403, "may not write to ada/lora"), (400, "status 400")],
)
def test_a_refusal_is_one_sentence(server: Hub, tmp_path: Path, status: int, sentence: str) -> None:
    server.status = status
    with pytest.raises(Refused, match=sentence) as refusal:
        hub.push(archive(), tmp_path, "ada/lora", "hf_token", private=True)
    assert refusal.value.code == "hub_refused"
    assert "hf_token" not in refusal.value.detail


def test_a_hub_that_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Refused, match="cannot be reached") as refusal:
        hub.push(archive(), tmp_path, "ada/lora", "hf_token", private=True)
    assert refusal.value.code == "hub_unreachable"
