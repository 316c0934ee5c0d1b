"""Every stage trains one step, and resumes as if it had not been stopped, on a miniature."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from loop_studio.starter.captions import COLOURS, SHAPES, TEXTURES, parse_caption
from loop_studio.starter.denoiser import (
    Latents,
    Widths,
    build_text_encoder,
    build_unet,
    denoising_loss,
    tokenise,
    zero_snr_noise_scheduler,
)
from loop_studio.starter.eye import TextureNet
from loop_studio.starter.eye_training import eye_loss
from loop_studio.starter.prompts import STARTER_PROMPTS
from loop_studio.starter.reading import Reader, reading_loss, truths_of
from loop_studio.starter.referee import RefereeNet
from loop_studio.starter.referee_training import referee_loss
from loop_studio.starter.render import render_scenes
from loop_studio.starter.scorer_training import ScorerWidths, build_scorer, scorer_loss
from loop_studio.starter.seeing import IGNORED, NOTHING, Seer, shown, told, told_by
from loop_studio.starter.tokens import train_tokenizer
from loop_studio.starter.training import Recipe, StepLoss, Training, learning_rate
from loop_studio.starter.vae import (
    build_vae,
    encode_all,
    normalise_latents,
    to_tensor,
    vae_loss,
)
from loop_studio.starter.world import Thing

RECIPE = Recipe(steps=4, peak_learning_rate=1e-3, seed=3, warmup_steps=2, save_every=1)


def _vae() -> tuple[nn.Module, StepLoss]:
    pictures, _ = render_scenes(8, seed=1)
    vae = build_vae((8, 8, 8))
    return vae, vae_loss(vae, pictures)


WIDTHS = Widths((8, 16, 16), heads=2, text=16, text_layers=1)


def _text() -> tuple[nn.Module, StepLoss]:
    tokenizer = train_tokenizer(list(STARTER_PROMPTS))
    reader = Reader(build_text_encoder(tokenizer, WIDTHS))
    captions = list(STARTER_PROMPTS)
    return reader, reading_loss(reader, tokenise(tokenizer, captions), captions)


def _unet() -> tuple[nn.Module, StepLoss]:
    tokenizer = train_tokenizer(list(STARTER_PROMPTS))
    text_encoder = build_text_encoder(tokenizer, WIDTHS)
    unet = build_unet(WIDTHS.text, WIDTHS)
    latents = np.random.default_rng(1).normal(size=(4, 4, 16, 16)).astype(np.float16)
    tokens = tokenise(tokenizer, list(STARTER_PROMPTS[:4]))
    data = Latents(latents, tokens, tokenise(tokenizer, [""]), torch.tensor([0, 2]))
    return unet, denoising_loss(unet, text_encoder, data, zero_snr_noise_scheduler())


def _scorer() -> tuple[nn.Module, StepLoss]:
    tokenizer = train_tokenizer(list(STARTER_PROMPTS))
    widths = ScorerWidths(hidden=16, vision_layers=1, text_layers=1, patch=16)
    seer = Seer(build_scorer(tokenizer, widths))
    return seer, scorer_loss(seer, tokenizer)


def _eye() -> tuple[nn.Module, StepLoss]:
    net = TextureNet()
    return net, eye_loss(net)


def _referee() -> tuple[nn.Module, StepLoss]:
    net = RefereeNet(width=8)
    return net, referee_loss(net)


STAGES = [_vae, _text, _unet, _scorer, _eye, _referee]


@pytest.mark.parametrize("build", STAGES)
def test_a_killed_training_resumes_bit_identically(build, tmp_path: Path):
    whole = _train(build, tmp_path / "whole.pt", until=3)
    killed = _train(build, tmp_path / "killed.pt", until=1)
    resumed = _train(build, tmp_path / "killed.pt", until=3)
    assert whole.step == resumed.step == 3
    for one, other in (
        (whole.module.state_dict(), resumed.module.state_dict()),
        (whole.averaged().state_dict(), resumed.averaged().state_dict()),
    ):
        assert all(torch.equal(one[name], other[name]) for name in one)
    early, late = killed.module.state_dict(), resumed.module.state_dict()
    assert any(not torch.equal(early[name], late[name]) for name in early)


def _train(build, state_file: Path, until: int) -> Training:
    torch.manual_seed(0)
    module, loss_of = build()
    training = Training(module, RECIPE, state_file)
    for _ in training.run(loss_of, until):
        pass
    return training


def test_learning_rate_warms_up_stays_and_falls_to_nothing():
    recipe = Recipe(steps=1000, peak_learning_rate=1.0, seed=0, warmup_steps=100)
    rates = [learning_rate(step, recipe) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[100] == rates[650] == 1.0
    assert rates[999] < 0.01


def test_normalised_latents_have_unit_scale_and_decode_the_same():
    pictures, _ = render_scenes(8, seed=1)
    torch.manual_seed(0)
    vae = build_vae((8, 8, 8)).eval()
    with torch.no_grad():
        before = vae.decode(vae.encode(to_tensor(pictures)).latent_dist.mean).sample
        normalise_latents(vae, pictures)
        after = vae.decode(vae.encode(to_tensor(pictures)).latent_dist.mean).sample
    latents = encode_all(vae, pictures).astype(np.float32)
    assert np.abs(latents.mean((0, 2, 3))).max() < 0.01
    assert np.abs(latents.std((0, 2, 3)) - 1).max() < 0.01
    assert torch.allclose(before, after, atol=1e-4)


def test_the_reader_is_asked_for_every_word_of_a_caption():
    captions = ["a red star", "a red fish", "a blue star", "a striped red star", "two red stars"]
    captions += ["a red star above a fish", "a red star left of a fish", "a star above a red fish"]
    truths = [truths_of(parse_caption(caption)) for caption in captions]
    assert len({tuple(truth) for truth in truths}) == len(captions)
    assert sum(a != b for a, b in zip(truths[0], truths[1], strict=True)) == 1
    assert sum(a != b for a, b in zip(truths[5], truths[6], strict=True)) == 1


def test_a_text_encoder_learns_to_read_shapes(tmp_path: Path):
    torch.manual_seed(0)
    reader, loss_of = _text()
    tokenizer = train_tokenizer(list(STARTER_PROMPTS))
    tokens = tokenise(tokenizer, ["a red star", "a red fish", "a red moon"])
    recipe = Recipe(steps=80, peak_learning_rate=1e-2, seed=3, warmup_steps=5)
    for _ in Training(reader, recipe, tmp_path / "text.pt").run(loss_of):
        pass
    shapes = reader(tokens)[0].argmax(1)[:3]
    assert shapes.tolist() == [
        truths_of(parse_caption(f"a {s}"))[0] for s in ("star", "fish", "moon")
    ]


def test_each_patch_is_asked_for_the_object_that_it_shows() -> None:
    scene = render_scenes(1, seed=1)[1][0]
    fish = Thing("fish", "blue", "striped", x=20, y=44, radius=10)
    moon = Thing("moon", "red", "solid", x=52, y=12, radius=6)
    shape, colour, texture = shown(replace(scene, things=(fish, moon)), patch=8).reshape(3, 8, 8)
    assert shape[5, 2] == SHAPES.index("fish")
    assert colour[5, 2] == COLOURS.index("blue")
    assert texture[5, 2] == TEXTURES.index("striped")
    assert shape[1, 6] == SHAPES.index("moon")
    assert shape[0, 0] == NOTHING
    assert colour[0, 0] == texture[0, 0] == IGNORED
    assert told(replace(scene, things=(fish, moon)))[::3].tolist() == [
        *(SHAPES.index(shape) for shape in ("fish", "moon", "moon", "fish")),
        1,
    ]
    said = told_by(parse_caption("a blue fish below a red moon"))
    assert said[9:12].tolist() == [SHAPES.index("fish"), COLOURS.index("blue"), IGNORED]
    assert said[6] == SHAPES.index("moon")
    assert (said[:6] == IGNORED).all()  # left and right are not said
    same = told_by(parse_caption("three red moons"))
    assert same[[0, 3, 6, 9]].tolist() == [SHAPES.index("moon")] * 4
    assert same[-1] == 2
    shown_at = np.argwhere(shape == SHAPES.index("fish"))
    assert (np.hypot(*(8 * (shown_at + 0.5) - (44, 20)).T) <= 10).all()
