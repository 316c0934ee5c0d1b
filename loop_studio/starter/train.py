"""Trains the starter from nothing: `python -m loop_studio.starter.train --stage all`.

Stages, in order: vae, latents, decoder, text, diffusion, zero_snr, scorer, eye, referee, card.
Each can be killed and started again; it goes on from its last saved step in the work folder. About
two and a half hours on two cores. Both stages of the denoiser, diffusion and zero_snr, export a
usable folder every `EXPORT_EVERY` steps.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from loop_studio.starter import paths
from loop_studio.starter.card import card_text
from loop_studio.starter.denoiser import (
    Latents,
    build_text_encoder,
    build_unet,
    denoising_loss,
    export_pipeline,
    sd_noise_scheduler,
    tokenise,
    zero_snr_noise_scheduler,
)
from loop_studio.starter.readers import train_eye, train_referee, train_scorer
from loop_studio.starter.reading import Reader, reading_loss
from loop_studio.starter.recipes import EXPORT_EVERY, SCENE_SEED, SCENES, Order
from loop_studio.starter.scenes import dark_rows, scenes_on_disk
from loop_studio.starter.tokens import train_tokenizer
from loop_studio.starter.training import Training
from loop_studio.starter.vae import build_vae, decoder_loss, encode_all, normalise_latents, vae_loss

NORMALISE_ON = 4_000  # scenes that fix the mean and scale of the latents


def train_vae(order: Order) -> None:
    """Autoencoder with normalised latents, to `work/vae`."""
    pictures, _ = scenes_on_disk(order.work, SCENES, SCENE_SEED)
    recipe = order.recipe("vae")
    torch.manual_seed(recipe.seed)
    vae = build_vae().to(memory_format=torch.channels_last)
    training = Training(vae, recipe, order.work / "vae.pt")
    for _ in training.run(vae_loss(vae, pictures)):
        pass
    finished = training.averaged()
    assert isinstance(finished, AutoencoderKL)
    normalise_latents(finished, pictures[:NORMALISE_ON])
    finished.save_pretrained(order.work / "vae")


def encode_latents(order: Order) -> None:
    """Latents of all scenes and the tokenizer of all captions, to `work`."""
    pictures, captions = scenes_on_disk(order.work, SCENES, SCENE_SEED)
    with (order.work / "latents.partial").open("wb") as file:
        np.save(file, encode_all(load_vae(order.work), pictures))
    os.replace(order.work / "latents.partial", order.work / "latents.npy")
    train_tokenizer(captions).save_pretrained(order.work / "tokenizer")


def train_decoder(order: Order) -> None:
    """The autoencoder's decoder again, into `work/vae`; latents stay as they are.

    After the SD decoders of Stability AI ("ft-MSE"), which replaced one decoder under models
    already trained.
    """
    pictures, _ = scenes_on_disk(order.work, SCENES, SCENE_SEED)
    vae = load_vae(order.work).to(memory_format=torch.channels_last)
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    training = Training(vae, order.recipe("decoder"), order.work / "decoder.pt")
    for _ in training.run(decoder_loss(vae, np.load(order.work / "latents.npy"), pictures)):
        pass
    finished = training.averaged()
    assert isinstance(finished, AutoencoderKL)
    finished.save_pretrained(order.work / "vae.partial")
    paths.replace_folder(order.work / "vae.partial", order.work / "vae")


def train_text(order: Order) -> None:
    """The text encoder, to `work/text_encoder`."""
    _, captions = scenes_on_disk(order.work, SCENES, SCENE_SEED)
    tokenizer = CLIPTokenizer.from_pretrained(order.work / "tokenizer")
    recipe = order.recipe("text")
    torch.manual_seed(recipe.seed)
    reader = Reader(build_text_encoder(tokenizer))
    training = Training(reader, recipe, order.work / "text.pt")
    for _ in training.run(reading_loss(reader, tokenise(tokenizer, captions), captions)):
        pass
    finished = training.averaged()
    assert isinstance(finished, Reader)
    finished.text_encoder.save_pretrained(order.work / "text_encoder")


def train_diffusion(order: Order) -> None:
    """The UNet, on Stable Diffusion's noise schedule."""
    _train_denoiser(order, _first_denoiser(order), sd_noise_scheduler())


def train_zero_snr(order: Order) -> None:
    """The UNet further, from its running average, on the noise schedule of the studio.

    Raises SystemExit when the stage before has not run.
    """
    first = _first_denoiser(order)
    if first.step == 0:
        raise SystemExit("The stage zero_snr goes on from the stage diffusion; run that first.")
    state_file = order.work / "zero_snr.pt"
    training = Training(first.averaged().train(), order.recipe("zero_snr"), state_file)
    _train_denoiser(order, training, zero_snr_noise_scheduler())


def _first_denoiser(order: Order) -> Training:
    recipe = order.recipe("diffusion")
    torch.manual_seed(recipe.seed)
    unet = build_unet(load_text_encoder(order.work).config.hidden_size)
    return Training(unet, recipe, order.work / "diffusion.pt")


def _train_denoiser(order: Order, training: Training, noise_scheduler: DDIMScheduler) -> None:
    """Trains to the end; exports the UNet with all it needs to `out/diffusion` on the way."""
    pictures, captions = scenes_on_disk(order.work, SCENES, SCENE_SEED)
    tokenizer = CLIPTokenizer.from_pretrained(order.work / "tokenizer")
    data = Latents(
        np.load(order.work / "latents.npy"),
        tokenise(tokenizer, captions),
        tokenise(tokenizer, [""]),
        torch.from_numpy(dark_rows(pictures)),
    )
    unet = training.module
    assert isinstance(unet, UNet2DConditionModel)
    loss_of = denoising_loss(unet, load_text_encoder(order.work), data, noise_scheduler)
    for step in training.run(loss_of):
        if step % EXPORT_EVERY == 0 or step == training.recipe.steps:
            averaged = training.averaged()
            assert isinstance(averaged, UNet2DConditionModel)
            encoder, vae = load_text_encoder(order.work), load_vae(order.work)
            folder = order.out / paths.DIFFUSION_FOLDER.name
            export_pipeline(averaged, encoder, vae, tokenizer, noise_scheduler, captions, folder)


def write_card(order: Order) -> None:
    """Measures all weights in `out` and writes `out/MODEL_CARD.md`."""
    (order.out / paths.MODEL_CARD.name).write_text(
        card_text(order.out, order.work), encoding="utf-8"
    )


def load_vae(work: Path) -> AutoencoderKL:
    """The trained autoencoder in float32."""
    vae = AutoencoderKL.from_pretrained(work / "vae", use_safetensors=True)
    assert isinstance(vae, AutoencoderKL)
    return vae.eval()


def load_text_encoder(work: Path) -> CLIPTextModel:
    """The trained text encoder in float32."""
    text_encoder = CLIPTextModel.from_pretrained(work / "text_encoder", use_safetensors=True)
    assert isinstance(text_encoder, CLIPTextModel)
    return text_encoder.eval()


STAGES: dict[str, Callable[[Order], None]] = {
    "vae": train_vae,
    "latents": encode_latents,
    "decoder": train_decoder,
    "text": train_text,
    "diffusion": train_diffusion,
    "zero_snr": train_zero_snr,
    "scorer": train_scorer,
    "eye": train_eye,
    "referee": train_referee,
    "card": write_card,
}


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m loop_studio.starter.train")
    parser.add_argument("--stage", choices=[*STAGES, "all"], default="all")
    parser.add_argument("--out", type=Path, default=paths.WEIGHTS, help="weights folder")
    parser.add_argument("--work", type=Path, default=Path(".cache/starter"), help="states, scenes")
    parser.add_argument("--steps", type=int, help="instead of the recipe's, for one stage")
    chosen = parser.parse_args(arguments)
    if chosen.stage == "all" and chosen.steps is not None:
        parser.error("--steps is for one stage: name it with --stage")
    order = Order(chosen.work, chosen.out, chosen.steps)
    for stage in STAGES if chosen.stage == "all" else [chosen.stage]:
        STAGES[stage](order)


if __name__ == "__main__":
    main()
