"""Draws scenes: 64x64 RGB pictures, antialiased by drawing four times larger."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from loop_studio.starter.world import CANVAS, RGB, Colour, Scene, Thing, sample_scene

SUPERSAMPLE = 4
Point = tuple[float, float]  # in units of the object's radius, centre at (0, 0), y down


def render(scene: Scene) -> Image.Image:
    """The picture of a scene, 64x64 RGB."""
    size = CANVAS * SUPERSAMPLE
    canvas = Image.new("RGB", (size, size), scene.background)
    for thing in scene.things:
        canvas.paste(_paint(thing), (0, 0), _mask(thing))
    return canvas.resize((CANVAS, CANVAS), Image.Resampling.BOX)


def render_scenes(count: int, seed: int, held_out: bool = False) -> tuple[np.ndarray, list[Scene]]:
    """Pictures (count, 64, 64, 3) uint8 and their scenes; scene i depends on (seed, i) alone."""
    scenes = [sample_scene(np.random.default_rng((seed, i)), held_out) for i in range(count)]
    pictures = np.empty((count, CANVAS, CANVAS, 3), np.uint8)
    for i, scene in enumerate(scenes):
        pictures[i] = np.asarray(render(scene))
    return pictures, scenes


def pattern_colour(colour: str) -> Colour:
    """The second colour of stripes and dots: a light tint, or a dark shade of a light colour."""
    base = np.array(RGB[colour], float)
    other = base * 0.42 if colour in ("yellow", "pink", "orange") else base * 0.42 + 255 * 0.58
    red, green, blue = (int(value) for value in other)
    return red, green, blue


def _paint(thing: Thing) -> Image.Image:
    """The object's colours over the whole canvas; the mask cuts its shape out."""
    size = CANVAS * SUPERSAMPLE
    paint = Image.new("RGB", (size, size), RGB[thing.colour])
    if thing.texture == "solid":
        return paint
    draw = ImageDraw.Draw(paint)
    second = pattern_colour(thing.colour)
    cx, cy, period = _pattern_frame(thing)
    reach = int(2 * thing.radius * SUPERSAMPLE / period) + 2
    steps = range(-reach, reach + 1)
    if thing.texture == "striped":
        for k in steps:
            x = cx + k * period * 1.3
            draw.line([(x - size, cy - size), (x + size, cy + size)], second, int(period * 0.46))
    else:
        dot = period * 0.28
        for row in steps:
            for column in steps:
                x = cx + (column + 0.5 * (row % 2)) * period
                y = cy + row * period * 0.87
                draw.ellipse([x - dot, y - dot, x + dot, y + dot], second)
    return paint


def _pattern_frame(thing: Thing) -> tuple[float, float, float]:
    """Origin of the pattern and its period, in supersampled pixels."""
    period = min(max(thing.radius * 0.48, 5.8), 9.0) * SUPERSAMPLE
    x = thing.x * SUPERSAMPLE + thing.phase * period
    return x, thing.y * SUPERSAMPLE, period


def _mask(thing: Thing) -> Image.Image:
    size = CANVAS * SUPERSAMPLE
    mask = Image.new("L", (size, size), 0)
    _DRAWERS[thing.shape](_Pen(ImageDraw.Draw(mask), thing))
    return mask


class _Pen:
    """Draws on a mask in the object's own units."""

    def __init__(self, draw: ImageDraw.ImageDraw, thing: Thing) -> None:
        self._draw = draw
        self._centre = (thing.x * SUPERSAMPLE, thing.y * SUPERSAMPLE)
        self._scale = thing.radius * SUPERSAMPLE

    def polygon(self, points: list[Point], ink: int = 255) -> None:
        self._draw.polygon([self._place(point) for point in points], fill=ink)

    def ellipse(self, centre: Point, half: Point, ink: int = 255) -> None:
        (x, y), (w, h) = centre, half
        self._draw.ellipse([self._place((x - w, y - h)), self._place((x + w, y + h))], fill=ink)

    def _place(self, point: Point) -> Point:
        return (
            self._centre[0] + point[0] * self._scale,
            self._centre[1] + point[1] * self._scale,
        )


def _star(pen: _Pen) -> None:
    angles = -np.pi / 2 + np.arange(10) * np.pi / 5
    lengths = np.where(np.arange(10) % 2 == 0, 1.06, 0.47)
    tips = zip(lengths * np.cos(angles), lengths * np.sin(angles) + 0.05, strict=True)
    pen.polygon([(float(x), float(y)) for x, y in tips])


def _heart(pen: _Pen) -> None:
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x = 16 * np.sin(turn) ** 3
    y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    pen.polygon([(float(a), float(b)) for a, b in zip(x / 16, -(y + 2.5) / 15, strict=True)])


def _moon(pen: _Pen) -> None:
    pen.ellipse((0, 0), (1, 1))
    pen.ellipse((0.52, -0.12), (0.84, 0.84), 0)


def _flower(pen: _Pen) -> None:
    for angle in -np.pi / 2 + np.arange(5) * 2 * np.pi / 5:
        pen.ellipse((0.57 * float(np.cos(angle)), 0.57 * float(np.sin(angle))), (0.42, 0.42))
    pen.ellipse((0, 0), (0.45, 0.45))
    pen.ellipse((0, 0), (0.2, 0.2), 0)


def _tree(pen: _Pen) -> None:
    pen.polygon([(0, -1), (0.62, -0.2), (-0.62, -0.2)])
    pen.polygon([(0, -0.55), (0.86, 0.55), (-0.86, 0.55)])
    pen.polygon([(-0.2, 0.5), (0.2, 0.5), (0.2, 1), (-0.2, 1)])


def _house(pen: _Pen) -> None:
    pen.polygon([(0, -1), (1, -0.15), (-1, -0.15)])
    pen.polygon([(-0.76, -0.2), (0.76, -0.2), (0.76, 0.95), (-0.76, 0.95)])
    pen.polygon([(-0.2, 0.35), (0.2, 0.35), (0.2, 0.95), (-0.2, 0.95)], 0)


def _fish(pen: _Pen) -> None:
    pen.ellipse((0.2, 0), (0.8, 0.58))
    pen.polygon([(-0.4, 0), (-1, -0.6), (-1, 0.6)])
    pen.ellipse((0.6, -0.14), (0.11, 0.11), 0)


_DRAWERS: dict[str, Callable[[_Pen], None]] = {
    "circle": lambda pen: pen.ellipse((0, 0), (0.97, 0.97)),
    "square": lambda pen: pen.polygon([(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]),
    "triangle": lambda pen: pen.polygon([(0, -0.95), (1, 0.82), (-1, 0.82)]),
    "star": _star,
    "heart": _heart,
    "moon": _moon,
    "flower": _flower,
    "tree": _tree,
    "house": _house,
    "fish": _fish,
}
