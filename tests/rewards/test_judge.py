"""The judge, against a local server that speaks the protocol: well, slowly, in prose, or not."""

from __future__ import annotations

import base64
import socket
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from loop_studio.errors import Refused, RewardFailed
from loop_studio.rewards import judge
from loop_studio.rewards.catalogue import entry
from loop_studio.rewards.judge import read_score
from loop_studio.rewards.model import RewardModels
from loop_studio.settings import Settings
from tests.rewards.chat_server import chat_server
from tests.rewards.tiny_rewards import pictures


def asked_at(url: str, **values: str) -> dict[str, str]:
    return {"url": url, "model": "eye-7b", **values}


def score(settings: Settings, url: str, count: int = 1) -> list[float]:
    return RewardModels(settings).score("judge", asked_at(url), pictures(count), ["a fish"] * count)


def test_each_picture_goes_with_its_prompt_and_the_rubric(settings: Settings) -> None:
    images = pictures(2)
    with chat_server() as server:
        values = asked_at(server.url, rubric="Only blue counts.")
        found = RewardModels(settings).score("judge", values, images, ["a red fish", "a star"])
    assert found == [7.0, 7.0]
    assert {request["model"] for request in server.asked} == {"eye-7b"}
    by_prompt = {request["messages"][1]["content"][0]["text"]: request for request in server.asked}
    assert set(by_prompt) == {"Prompt: a red fish", "Prompt: a star"}
    first = by_prompt["Prompt: a red fish"]
    assert first["messages"][0]["content"].startswith("Only blue counts.")
    head, _, data = first["messages"][1]["content"][1]["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert Image.open(BytesIO(base64.b64decode(data))).tobytes() == images[0].tobytes()


def test_scores_come_back_in_the_order_of_the_pictures(settings: Settings) -> None:
    with chat_server(answers=['{"score": 3}']) as server:
        values = asked_at(server.url)
        rewards = RewardModels(settings)
        rewards.load("judge", values)
        server.answer = lambda request, headers: reply(request)  # type: ignore[method-assign]
        found = rewards.score("judge", values, pictures(6), [str(place) for place in range(6)])
    assert found == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def reply(request: dict) -> bytes:  # type: ignore[type-arg]
    number = request["messages"][1]["content"][0]["text"].split()[-1]
    return f'{{"choices": [{{"message": {{"content": "{number}"}}}}]}}'.encode()


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ('{"score": 7}', 7.0),
        ('```json\n{"score": 6.5}\n```', 6.5),
        ("8", 8.0),
        ("I see a fish. Score: 4", 4.0),
        ("It first looked like score: 2, but score: 9.", 9.0),
        ("It is a lovely picture, 7 out of 10.", None),
        ("", None),
        ('{"score": 11}', None),
        ('{"score": -1}', None),
        ('{"score": null}', None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_a_score_is_read_where_there_is_one(said: str, value: float | None) -> None:
    assert read_score(said) == value


def test_prose_is_asked_once_more_and_then_told(settings: Settings) -> None:
    with chat_server(answers=["What a lovely fish.", '{"score": 5}']) as server:
        assert score(settings, server.url) == [5.0]
    with (
        chat_server(answers=["What a lovely fish."]) as server,
        pytest.raises(RewardFailed, match=r"answered 'What a lovely fish\.', where") as told,
    ):
        score(settings, server.url)
    assert len(server.asked) == judge.ATTEMPTS
    assert not told.value.lasting


def test_an_endpoint_that_is_down_says_so(settings: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(RewardFailed, match=r"cannot be reached\. Start it or") as told:
        score(settings, url)
    assert told.value.lasting


def test_an_endpoint_that_is_slow_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "TIMEOUT_S", 0.2)
    with (
        chat_server(delay_s=1.0) as server,
        pytest.raises(RewardFailed, match=r"did not answer within 0.2 seconds"),
    ):
        score(settings, server.url)


@pytest.mark.parametrize(
    ("conduct", "sentence"),
    [
        ({"status": 500}, "answered with status 500"),
        ({"status": 401}, "answered with status 401"),
        ({"body": b"<html>"}, "does not speak the chat-completions protocol"),
        ({"body": b'{"choices": []}'}, "does not speak the chat-completions protocol"),
        ({"body": b"[]"}, "does not speak the chat-completions protocol"),
    ],
)
def test_an_endpoint_of_another_kind_says_so(
    settings: Settings, conduct: dict[str, object], sentence: str
) -> None:
    with chat_server(**conduct) as server, pytest.raises(RewardFailed, match=sentence):
        score(settings, server.url)


def test_the_version_changes_with_model_and_rubric(settings: Settings) -> None:
    rewards = RewardModels(settings)
    url = "http://127.0.0.1:9/v1"
    versions = [
        rewards.load("judge", asked_at(url, **values)).version
        for values in ({}, {"model": "eye-70b"}, {"rubric": "Only blue counts."}, {})
    ]
    assert versions[0] == versions[3]
    assert len(set(versions)) == 3


def test_the_key_goes_to_the_administrators_endpoint_alone(tmp_path: Path) -> None:
    with chat_server() as trusted, chat_server() as other:
        settings = Settings(data=tmp_path, judge_url=trusted.url, judge_key="secret")
        assert score(settings, trusted.url) == score(settings, "") == [7.0]
        assert score(settings, other.url) == [7.0]
    assert {head["Authorization"] for head in trusted.headers} == {"Bearer secret"}
    assert not any("Authorization" in head for head in other.headers)


def test_where_others_reach_the_studio_pictures_go_to_no_other_endpoint(tmp_path: Path) -> None:
    known = entry("judge")
    assert known is not None
    url = "http://127.0.0.1:9/v1"
    open_ = Settings(data=tmp_path, host="0.0.0.0", password="x", judge_url=url)
    assert known.fault(open_, asked_at(url)) == known.fault(open_, asked_at("")) == ""
    assert "LOOP_STUDIO_JUDGE_URL" in known.fault(open_, asked_at("http://elsewhere/v1"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "No endpoint is set"),
        ({"url": "ftp://x", "model": "m"}, "is no address"),
        ({"url": "http://x/v1"}, "Name the model"),
    ],
)
def test_a_judge_that_is_not_set_up_says_what_is_missing(
    settings: Settings, values: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        RewardModels(settings).load("judge", values)
