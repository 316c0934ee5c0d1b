"""The seam: whatever a reward does, there are as many finite scores as pictures, or a sentence."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loop_studio.errors import NotFound, Refused, RewardFailed
from loop_studio.rewards import model
from loop_studio.rewards.catalogue import CATALOGUE, entry
from loop_studio.rewards.model import RewardModels, checked
from loop_studio.settings import Settings
from tests.rewards.tiny_rewards import pictures

RAN: list[int] = []
HOLD = threading.Event()


def brighter(images: list[Any], prompts: list[str]) -> list[float]:
    """A reward of one's own; the tests name it as tests.rewards.test_model:brighter."""
    return [float(np.asarray(image).mean()) for image in images]


def breaks(images: list[Any], prompts: list[str]) -> list[float]:
    raise ZeroDivisionError("by nothing")


def hangs(images: list[Any], prompts: list[str]) -> list[float]:
    RAN.append(len(images))
    HOLD.wait(20)
    return [0.0] * len(images)


def endless(images: list[Any], prompts: list[str]) -> Any:
    return itertools.repeat(1.0)


def own(name: str) -> dict[str, str]:
    return {"function": f"tests.rewards.test_model:{name}"}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([float("nan"), 1.0], "gave a score that is no number"),
        ([float("inf"), 1.0], "gave a score that is no number"),
        ([1.0], "gave 1 scores for 2 pictures"),
        ([], "gave 0 scores for 2 pictures"),
        ([1.0, 2.0, 3.0], "gave too many scores for 2 pictures"),
        (None, "gave nothing, where 2 numbers were asked for"),
        (0.5, "gave a float, where 2 numbers were asked for"),
        ("12", "gave a str, where 2 numbers were asked for"),
        ({"a": 1.0, "b": 2.0}, "gave a dict, where 2 numbers were asked for"),
        (["1", "2"], "gave scores that are no numbers"),
        ([None, 1.0], "gave scores that are no numbers"),
        ([[1.0], [2.0, 3.0]], "gave scores that are no numbers"),
    ],
)
def test_what_are_no_scores_is_told_in_one_sentence(found: object, sentence: str) -> None:
    with pytest.raises(RewardFailed, match=sentence) as told:
        checked("beauty", found, 2)
    assert "The reward beauty" in told.value.detail
    assert "Try it on the Rewards page" in told.value.detail
    assert not told.value.lasting


@pytest.mark.parametrize("found", [(1, 2), np.array([1, 2]), torch.tensor([1.0, 2.0])])
def test_numbers_of_every_kind_are_scores(found: object) -> None:
    assert checked("beauty", found, 2) == [1.0, 2.0]


def test_a_function_of_ones_own_scores(settings: Settings) -> None:
    rewards = RewardModels(settings)
    images = pictures(2)
    assert rewards.score("function", own("brighter"), images, ["", ""]) == brighter(images, [])


def test_another_function_is_another_version(settings: Settings) -> None:
    rewards = RewardModels(settings)
    versions = {rewards.load("function", own(name)).version for name in ("brighter", "breaks")}
    assert len(versions) == 2


def test_a_reward_that_raises_says_so(settings: Settings) -> None:
    with pytest.raises(RewardFailed, match=r"function failed \(ZeroDivisionError: by nothing\)"):
        RewardModels(settings).score("function", own("breaks"), pictures(2), ["", ""])


def test_a_reward_that_gives_numbers_without_end_is_cut_short(settings: Settings) -> None:
    with pytest.raises(RewardFailed, match="gave too many scores"):
        RewardModels(settings).score("function", own("endless"), pictures(2), ["", ""])


def test_a_reward_that_takes_for_ever_is_left_behind_and_not_asked_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "SCORE_LIMIT_S", 0.3)
    rewards, asked = RewardModels(settings), []
    with pytest.raises(RewardFailed, match=r"took longer than 0.3 seconds") as told:
        rewards.score("function", own("hangs"), pictures(2), ["", ""], lambda: asked.append(1))
    assert told.value.code == "reward_timeout"
    assert asked, "others are served meanwhile"
    with pytest.raises(RewardFailed, match="still busy with what it was given before"):
        rewards.score("function", own("hangs"), pictures(2), ["", ""])
    assert RAN == [2]
    HOLD.set()


def test_a_function_may_run_only_where_the_administrator_says_so(tmp_path: Path) -> None:
    values = own("brighter")
    function = entry("function")
    assert function is not None
    private = Settings(data=tmp_path)
    open_ = Settings(data=tmp_path, host="0.0.0.0", password="x")
    behind = Settings(data=tmp_path, allowed_hosts=("studio.example",))
    named = Settings(data=tmp_path, host="0.0.0.0", reward_functions=(values["function"],))
    assert function.fault(private, values) == function.fault(named, values) == ""
    for settings in (open_, behind):
        assert "LOOP_STUDIO_REWARD_FUNCTIONS" in function.fault(settings, values)
        with pytest.raises(Refused, match="only functions named in"):
            RewardModels(settings).load("function", values)


@pytest.mark.parametrize("named", ["os", "os:", ":system", "os:system;x", "a b:c", "..x:y"])
def test_what_is_no_function_is_refused(settings: Settings, named: str) -> None:
    with pytest.raises(Refused, match="is no module:function"):
        RewardModels(settings).load("function", {"function": named})


def test_a_function_that_is_not_there_says_where_it_must_lie(settings: Settings) -> None:
    with pytest.raises(RewardFailed, match="Python path"):
        RewardModels(settings).load("function", {"function": "no_such_module:f"})


def test_an_unknown_reward_is_not_found(settings: Settings) -> None:
    with pytest.raises(NotFound, match="no reward model called 'beauty'"):
        RewardModels(settings).load("beauty", {})


def test_a_reward_is_loaded_once_for_its_parameters(settings: Settings) -> None:
    rewards = RewardModels(settings)
    assert rewards.load("brightness", {}) is rewards.load("brightness", {})
    for name in ("contrast", "sharpness", "variety", "colourfulness"):
        rewards.load(name, {})
    assert len(rewards._loaded) == model.MOST_LOADED


@pytest.mark.parametrize("known", CATALOGUE, ids=lambda known: known.name)
def test_every_entry_says_what_a_person_must_know(settings: Settings, known: Any) -> None:
    for text in (known.title, known.description, known.range, known.cost, known.memory):
        assert text
    assert known.default_sd > 0
    reason = known.fault(settings, {})
    assert reason == "" or reason.endswith((".", "LOOP_STUDIO_REWARD_FUNCTIONS"))
    if not reason:
        assert known.name in {
            "clip_score", "pick_score", "blip_vqa", "variety", "jpeg_compressibility",
            "jpeg_incompressibility", "colourfulness", "brightness", "contrast", "sharpness",
            "learned",
        }  # fmt: skip
