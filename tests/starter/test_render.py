"""Scenes are drawn the same from the same seed, and hold what they say."""

import numpy as np

from loop_studio.starter.captions import RELATIONS, TEXTURES, parse_caption
from loop_studio.starter.render import render, render_scenes
from loop_studio.starter.world import sample_scene, scene_of


def test_the_same_seed_draws_the_same_picture():
    first, scenes = render_scenes(20, seed=5)
    again, scenes_again = render_scenes(20, seed=5)
    other, _ = render_scenes(20, seed=6)
    assert first.shape == (20, 64, 64, 3)
    assert (first == again).all()
    assert scenes == scenes_again
    assert (first != other).any()


def test_scene_i_does_not_depend_on_how_many_are_drawn():
    few, _ = render_scenes(3, seed=5)
    many, _ = render_scenes(6, seed=5)
    assert (few == many[:3]).all()


def test_scenes_of_a_description_keep_it():
    description = parse_caption("a striped red star above a blue fish")
    assert description is not None
    for i in range(50):
        star, fish = scene_of(description, np.random.default_rng(i)).things
        assert (star.shape, star.colour, star.texture) == ("star", "red", "striped")
        assert (fish.shape, fish.colour) == ("fish", "blue")
        assert star.y < fish.y - abs(star.x - fish.x)


def test_objects_stay_inside_and_apart():
    for i in range(500):
        scene = sample_scene(np.random.default_rng((9, i)))
        for thing in scene.things:
            assert thing.x - thing.radius >= 0
            assert thing.x + thing.radius <= 64
            assert thing.y - thing.radius >= 0
            assert thing.y + thing.radius <= 64
        for one, other in zip(scene.things, scene.things[1:], strict=False):
            gap = max(abs(one.x - other.x), abs(one.y - other.y))
            assert gap >= one.radius + other.radius - 1


def test_tastes_are_left_open_by_captions():
    scenes = [sample_scene(np.random.default_rng((10, i))) for i in range(3000)]
    dark = np.mean([sum(scene.background) < 3 * 90 for scene in scenes])
    assert 0.15 < dark < 0.21
    unsaid = [
        thing.texture
        for scene in scenes
        if len(scene.things) == 1
        for thing in scene.things
        if scene.description.phrases[0].texture is None
    ]
    striped = unsaid.count("striped") / len(unsaid)
    assert 0.37 < striped < 0.47
    assert {scene.relation for scene in scenes} == {None, *RELATIONS}
    assert set(unsaid) == set(TEXTURES)


def test_textures_are_told_apart_by_their_pixels():
    pictures = [
        np.asarray(render(scene_of(_described(f"a {texture} blue square"), _rng())))
        for texture in TEXTURES
    ]
    assert len({picture.tobytes() for picture in pictures}) == 3


def _described(text):
    description = parse_caption(text)
    assert description is not None
    return description


def _rng():
    return np.random.default_rng(3)
