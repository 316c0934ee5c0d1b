"""The Dockerfile and compose.yaml fit the tree that they are built from; no Docker is needed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from loop_studio.jobs.supervisor import STOP_TIMEOUT_S
from loop_studio.settings import Settings
from loop_studio.ui.connections import STOP_GRACE_S

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.+)$", DOCKERFILE, re.MULTILINE)


def copied() -> list[str]:
    return [source for line in instructions("COPY") for source in line.split()[:-1]]


def test_what_is_copied_exists_and_is_sent_to_the_builder() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    assert "*" in ignore
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(source == kept or source.startswith(f"{kept}/") for kept in sent), source
    assert {"app.py", "loop_studio", "migrations", "static", "LICENSE"} <= set(copied())


def test_what_changes_often_is_copied_after_what_takes_long() -> None:
    assert DOCKERFILE.index("requirements.txt") < DOCKERFILE.index(".ci/install python")
    assert DOCKERFILE.index(".ci/install python") < DOCKERFILE.index("COPY loop_studio")


def test_it_runs_as_a_user_that_owns_its_volume() -> None:
    assert instructions("USER") == ["1000"]
    [volume] = instructions("VOLUME")
    assert f"install -d -o 1000 -g 0 -m 2775 {volume}" in DOCKERFILE
    assert f"LOOP_STUDIO_DATA={volume}" in DOCKERFILE


def test_healthy_means_that_the_studio_can_train() -> None:
    [command] = re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert "/healthz?require=worker" in json.loads(command)[-1]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_only_settings_that_exist(name: str) -> None:
    known = {f"LOOP_STUDIO_{field.upper()}" for field in Settings.model_fields} | {"HF_TOKEN"}
    assert set(SERVICES[name]["environment"]) <= known
    assert set(re.findall(r"(LOOP_STUDIO_\w+)=", DOCKERFILE)) <= known


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_keeps_its_data_and_is_given_time_to_stop(name: str) -> None:
    service = SERVICES[name]
    [volume] = service["volumes"]
    assert volume.endswith(f":{instructions('VOLUME')[0]}")
    assert int(service["stop_grace_period"].removesuffix("s")) > STOP_TIMEOUT_S + STOP_GRACE_S


def test_only_the_gpu_profile_asks_for_a_gpu_and_the_images_differ_in_torch_alone() -> None:
    by_profile = {service["profiles"][0]: service for service in SERVICES.values()}
    assert set(by_profile) == {"cpu", "gpu"}
    assert by_profile["cpu"]["build"]["args"] == {"TORCH": "cpu"}
    assert by_profile["gpu"]["build"]["args"] == {"TORCH": "cuda"}
    [device] = by_profile["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert "deploy" not in by_profile["cpu"]
    same = [{**service, "build": 0, "deploy": 0, "image": 0, "profiles": 0}
            for service in by_profile.values()]  # fmt: skip
    assert same[0] == same[1]
    torch = re.search(r"case \$torch in\n(\S+) \| (\S+)\)", (ROOT / ".ci/install").read_text())
    assert torch is not None
    assert set(torch.groups()) == {"cpu", "cuda"}
