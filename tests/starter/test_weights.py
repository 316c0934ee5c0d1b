"""The committed weights: they load, they fit the size, and the readers read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer

from loop_studio.starter import paths
from loop_studio.starter.captions import parse_caption
from loop_studio.starter.evaluate import Sampled, generate, load_pipeline, measure_section
from loop_studio.starter.eye import TASTES, dominant_colour, satisfies
from loop_studio.starter.measures import (
    agreement,
    eye_on_rendered,
    load_labelled,
    referee_on_rendered,
    scorer_on_rendered,
)
from loop_studio.starter.prompts import EVALUATION_PROMPTS, HELD_OUT_ONE_OBJECT, STARTER_PROMPTS
from loop_studio.starter.render import render, render_scenes
from loop_studio.starter.scorer import VERSION, Scorer
from loop_studio.starter.words import unknown_words
from loop_studio.starter.world import Scene, Thing

LABELLED = Path(__file__).parent / "labelled"


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_all_weights_together_are_small():
    files = [file for file in paths.WEIGHTS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 40e6


def test_the_folder_is_a_stable_diffusion_pipeline():
    pipeline = load_pipeline(paths.DIFFUSION_FOLDER)
    pictures = generate(pipeline, ["a red circle", "a dragon 日本"], seeds=[1, 2])
    assert pictures.shape == (2, 64, 64, 3)
    assert pictures.std() > 5
    assert pipeline.safety_checker is None
    scheduler = pipeline.scheduler.config
    assert scheduler.prediction_type == "v_prediction"
    assert not scheduler.clip_sample
    index = json.loads((paths.DIFFUSION_FOLDER / "model_index.json").read_text())
    assert index["safety_checker"] == index["feature_extractor"] == [None, None]


def test_the_web_process_reads_the_tokenizer_and_the_words():
    Tokenizer.from_file(str(paths.DIFFUSION_FOLDER / "tokenizer" / "tokenizer.json"))
    for prompt in STARTER_PROMPTS + EVALUATION_PROMPTS:
        assert unknown_words(prompt, paths.DIFFUSION_FOLDER) == []
    assert unknown_words("a purple dragon", paths.DIFFUSION_FOLDER) == ["dragon"]


# The goal is 75 % of every kind. Binding and relation are not there yet (model card).

SCORER_FLOORS = {"shape": 0.95, "colour": 0.95, "texture": 0.95, "count": 0.95}


def test_scorer_puts_the_rendered_scene_above_its_twin():
    shares = scorer_on_rendered(Scorer(), 100, seed=123)
    for kind, floor in SCORER_FLOORS.items():
        assert shares[kind].value >= floor, (kind, str(shares[kind]))


def test_scorer_takes_any_picture_and_any_prompt():
    assert len(VERSION) == 12
    image = Image.new("RGBA", (200, 100))
    scores = Scorer().score([image, image], ["a red circle", "日本 " * 99])
    assert len(scores) == 2
    assert all(np.isfinite(scores))
    assert Scorer().score([], []) == []


def test_referee_reads_rendered_scenes():
    for attribute, share in referee_on_rendered(300, seed=321).items():
        assert share.interval()[1] >= 0.98, (attribute, str(share))


def test_eye_reads_textures_of_rendered_scenes():
    assert eye_on_rendered(300, seed=322).value >= 0.95


def test_eye_names_the_dominant_colour():
    pictures, scenes = render_scenes(100, seed=323)
    alike = [i for i, one in enumerate(scenes) if len({t.colour for t in one.things}) == 1]
    named = dominant_colour(pictures[alike])
    assert np.mean([named[k] == scenes[i].things[0].colour for k, i in enumerate(alike)]) > 0.97


def test_referee_agrees_with_labels_made_by_eye():
    labelled = load_labelled(LABELLED)
    assert len(labelled.labels) == 200
    assert agreement(labelled)["any"].value >= 0.9


TASTE_PAIRS = {
    # taste: (a picture that has it, one that has not)
    "dark_background": ({"background": (30, 30, 30)}, {"background": (230, 230, 230)}),
    "large_object": ({"radius": 24.0}, {"radius": 12.0}),
    "left_of_centre": ({"x": 20.0}, {"x": 44.0}),
    "striped": ({"texture": "striped"}, {"texture": "solid"}),
}


@pytest.mark.parametrize("taste", TASTES)
def test_tastes_on_rendered_scenes(taste):
    liked, other = (_picture(**change) for change in TASTE_PAIRS[taste])
    pictures, prompts = np.stack([liked, other]), ["a red circle"] * 2
    graded = TASTES[taste](pictures, prompts)
    assert graded[0] > graded[1]
    assert ((graded >= 0) & (graded <= 1)).all()
    assert satisfies(taste, pictures, prompts).tolist() == [True, False]


def test_stripes_that_the_prompt_asks_for_are_no_taste():
    pictures = _picture(texture="striped")[None]
    assert not satisfies("striped", pictures, ["a striped red circle"])[0]
    assert satisfies("striped", pictures, ["a picture of nothing known"])[0]


def test_an_empty_picture_is_judged_without_error():
    for shade in (0, 128, 255):
        pictures = np.full((1, 64, 64, 3), shade, np.uint8)
        for taste in TASTES:
            assert np.isfinite(TASTES[taste](pictures, ["a red circle"])).all()


def _picture(background=(230, 230, 230), radius=14.0, x=32.0, texture="solid"):
    description = parse_caption("a red circle")
    assert description is not None
    thing = Thing("circle", "red", texture, min(max(x, radius), 64 - radius), 32.0, radius)
    return np.asarray(render(Scene((thing,), background, description, "a red circle")))


def test_single_objects_come_out_as_asked_in_combinations_never_trained():
    prompts = list(HELD_OUT_ONE_OBJECT)
    pictures = generate(load_pipeline(paths.DIFFUSION_FOLDER), prompts, range(len(prompts)))
    sampled = Sampled(prompts, pictures)
    shares = measure_section(sampled, ("colour", "shape", "texture"))
    assert shares["shape"].value >= 0.9, shares
    assert shares["colour"].value >= 0.8, shares
    assert shares["texture"].value >= 0.75, shares
