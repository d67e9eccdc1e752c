"""Simple scenes in colour: things that CIFAR-10 has classes for, cut out of coloured paper as it were."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from cnnviz.inference.samples.sample import LICENCE, OURS, Sample
from cnnviz.inference.samples.strokes import Point, arc

SIDE, FINER = 128, 4
Colour = tuple[int, int, int]
SKY_TOP, SKY_LOW = (92, 148, 214), (206, 226, 242)
BLACK, GLASS, RED, WHITE, STEEL = (26, 26, 28), (60, 78, 96), (176, 28, 30), (240, 240, 238), (148, 154, 162)


class Piece(NamedTuple):
    """One polygon in one colour, in hundredths of the side."""

    colour: Colour
    points: Sequence[Point]


class Scene(NamedTuple):
    """A sky down to the horizon, a ground, and pieces on top of each other."""

    title: str
    ground: Colour
    horizon: float
    pieces: tuple[Piece, ...]


def _disc(colour: Colour, x: float, y: float, radius: float) -> Piece:
    return Piece(colour, arc((x, y), (radius, radius), 0, 360))


def _wheel(x: float, y: float, radius: float) -> tuple[Piece, Piece]:
    return _disc(BLACK, x, y, radius), _disc(STEEL, x, y, radius * 0.45)


SHIP = Scene("A ship", (28, 72, 112), 0.58, (
    Piece((70, 116, 156), ((0, 74), (100, 70), (100, 73), (0, 77))),
    Piece(WHITE, ((36, 44), (72, 44), (74, 56), (30, 56))),
    Piece(WHITE, ((46, 34), (66, 34), (68, 44), (44, 44))),
    Piece(RED, ((54, 20), (61, 20), (62, 34), (54, 34))),
    Piece(BLACK, ((8, 55), (94, 53), (84, 70), (18, 70))),
    Piece(RED, ((16, 67), (86, 67), (84, 71), (18, 71))),
))  # fmt: skip
AIRPLANE = Scene("An aeroplane", (206, 226, 242), 0.98, (
    Piece(STEEL, ((44, 50), (58, 50), (30, 80), (22, 80))),
    Piece(WHITE, ((8, 46), (16, 42), (80, 40), (92, 46), (84, 54), (20, 54))),
    Piece((200, 204, 210), ((50, 44), (62, 43), (44, 22), (38, 22))),
    Piece(RED, ((8, 46), (16, 43), (10, 24), (4, 24))),
    Piece(GLASS, ((80, 42), (86, 43), (88, 46), (81, 46))),
))  # fmt: skip
AUTOMOBILE = Scene("A car", (96, 96, 98), 0.6, (
    Piece((60, 62, 64), ((6, 78), (94, 78), (90, 83), (10, 83))),
    Piece(RED, ((30, 40), (62, 40), (76, 54), (20, 54))),
    Piece(GLASS, ((33, 43), (45, 43), (45, 53), (26, 53))),
    Piece(GLASS, ((48, 43), (60, 43), (70, 53), (48, 53))),
    Piece(RED, ((8, 55), (22, 52), (78, 53), (93, 60), (93, 74), (8, 74))),
    Piece((248, 226, 130), ((88, 59), (93, 61), (93, 65), (88, 64))),
    *_wheel(27, 74, 10), *_wheel(74, 74, 10),
))  # fmt: skip
TRUCK = Scene("A lorry", (104, 100, 92), 0.64, (
    Piece((70, 68, 64), ((4, 80), (96, 80), (92, 85), (8, 85))),
    Piece(WHITE, ((6, 26), (64, 26), (64, 70), (6, 70))),
    Piece((200, 202, 204), ((6, 64), (64, 64), (64, 72), (6, 72))),
    Piece((34, 74, 150), ((66, 40), (84, 40), (94, 56), (94, 74), (66, 74))),
    Piece(GLASS, ((71, 44), (82, 44), (89, 56), (71, 56))),
    *_wheel(20, 76, 8), *_wheel(40, 76, 8), *_wheel(80, 76, 8),
))  # fmt: skip


def painted(scene: Scene) -> Image.Image:
    """The scene as a colour picture, `SIDE` × `SIDE`."""
    large = SIDE * FINER
    picture = Image.new("RGB", (large, large), scene.ground)
    pen, end = ImageDraw.Draw(picture), round(scene.horizon * large)
    for y in range(end):
        red, green, blue = (
            round(top + (low - top) * y / end) for top, low in zip(SKY_TOP, SKY_LOW, strict=True)
        )
        pen.line((0, y, large, y), fill=(red, green, blue))
    for piece in scene.pieces:
        pen.polygon([(x * large / 100, y * large / 100) for x, y in piece.points], fill=piece.colour)
    return picture.resize((SIDE, SIDE), Image.Resampling.BOX)


SAMPLES = tuple(
    Sample(name, scene.title, "drawing", OURS, LICENCE, functools.partial(painted, scene))
    for name, scene in (("ship", SHIP), ("airplane", AIRPLANE), ("automobile", AUTOMOBILE), ("truck", TRUCK))
)
