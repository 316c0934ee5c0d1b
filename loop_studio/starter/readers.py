"""The stages that train the three readers of pictures: scorer, eye, referee."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from loop_studio.starter import paths
from loop_studio.starter.eye import TextureNet
from loop_studio.starter.eye_training import eye_loss
from loop_studio.starter.recipes import Order
from loop_studio.starter.referee import RefereeNet
from loop_studio.starter.referee_training import referee_loss
from loop_studio.starter.scorer import PREPROCESSOR
from loop_studio.starter.scorer_training import ScorerWidths, build_scorer, scorer_loss
from loop_studio.starter.seeing import Seer
from loop_studio.starter.training import StepLoss, Training

Net = TypeVar("Net", bound=nn.Module)


def train_scorer(order: Order) -> None:
    """The CLIP model, to `out/scorer`."""
    tokenizer = CLIPTokenizer.from_pretrained(order.work / "tokenizer")
    recipe = order.recipe("scorer")
    torch.manual_seed(recipe.seed)
    model = build_scorer(tokenizer, ScorerWidths())
    reading = CLIPTextModel.from_pretrained(order.work / "text_encoder", use_safetensors=True)
    model.text_model.load_state_dict(reading.state_dict())
    seer = Seer(model)
    training = Training(seer, recipe, order.work / "scorer.pt")
    for _ in training.run(scorer_loss(seer, tokenizer)):
        pass
    finished = training.averaged()
    assert isinstance(finished, Seer)
    export_scorer(finished.clip, tokenizer, order.out / paths.SCORER_FOLDER.name)


def export_scorer(model: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Writes the scorer's folder in float16."""
    partial = folder.with_name(folder.name + ".partial")
    model.half().save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    settings = json.dumps(PREPROCESSOR, indent=2) + "\n"
    (partial / "preprocessor_config.json").write_text(settings)
    paths.replace_folder(partial, folder)


def train_eye(order: Order) -> None:
    """The rater's eye's texture CNN, to `out/eye.safetensors`."""
    _train_net(order, "eye", TextureNet, eye_loss, paths.EYE_WEIGHTS.name)


def train_referee(order: Order) -> None:
    """The referee, to `out/referee.safetensors`."""
    _train_net(order, "referee", RefereeNet, referee_loss, paths.REFEREE_WEIGHTS.name)


def _train_net(
    order: Order,
    stage: str,
    build: type[Net],
    loss_for: Callable[[Net], StepLoss],
    file_name: str,
) -> None:
    recipe = order.recipe(stage)
    torch.manual_seed(recipe.seed)
    net = build()
    training = Training(net, recipe, order.work / f"{stage}.pt")
    for _ in training.run(loss_for(net)):
        pass
    partial = order.out / (file_name + ".partial")
    weights = training.averaged().state_dict()
    order.out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in weights.items()}, partial)
    os.replace(partial, order.out / file_name)
