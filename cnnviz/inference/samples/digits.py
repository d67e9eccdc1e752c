"""Digits drawn with a round pen: white on black as MNIST's are, and one as ink on paper, lying down."""

from __future__ import annotations

import functools
import io

from PIL import Image, ImageOps

from cnnviz.inference.samples.sample import LICENCE, OURS, Sample
from cnnviz.inference.samples.strokes import Stroke, arc, drawn

STROKES: tuple[tuple[Stroke, ...], ...] = (
    (arc((0.5, 0.5), (0.19, 0.29), -90, 270),),
    (((0.42, 0.32), (0.53, 0.2), (0.51, 0.8)),),
    ((*arc((0.49, 0.36), (0.17, 0.16), 190, 385), (0.3, 0.79), (0.72, 0.77)),),
    ((*arc((0.47, 0.35), (0.17, 0.15), 205, 445), *arc((0.47, 0.64), (0.2, 0.15), -85, 155)),),
    (((0.38, 0.2), (0.31, 0.53), (0.71, 0.51)), ((0.64, 0.2), (0.58, 0.81))),
    (((0.69, 0.21), (0.39, 0.21), (0.37, 0.46), *arc((0.48, 0.62), (0.19, 0.18), 235, 510)),),
    (((0.6, 0.2), (0.44, 0.36), *arc((0.5, 0.63), (0.16, 0.17), 190, 560)),),
    (((0.29, 0.25), (0.7, 0.22), (0.56, 0.5), (0.46, 0.81)),),
    (arc((0.51, 0.35), (0.14, 0.14), 90, 450), arc((0.5, 0.65), (0.17, 0.16), -90, 270)),
    ((*arc((0.49, 0.37), (0.16, 0.16), 0, 360), (0.63, 0.6), (0.57, 0.81)),),
)
SIDE, WIDTH = 28, 0.085
PAPER, ON_PAPER = 420, 4
_ORIENTATION = 0x0112


def digit(number: int, side: int = SIDE) -> Image.Image:
    """A digit as a grey picture `side` × `side`, light on dark."""
    return drawn(STROKES[number], side, WIDTH)


def on_paper() -> bytes:
    """A photograph as a telephone would take it: dark on light, off the middle, turned by a note in Exif."""
    paper = Image.new("L", (PAPER, round(PAPER * 0.75)), 235)
    paper.paste(ImageOps.invert(digit(ON_PAPER, 240)).point(lambda v: round(v * 0.92)), (130, 20))
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    buffer = io.BytesIO()
    paper.transpose(Image.Transpose.ROTATE_90).convert("RGB").save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


SAMPLES = (
    *(
        Sample(f"digit-{n}", f"A drawn {n}", "digit", OURS, LICENCE, functools.partial(digit, n))
        for n in range(10)
    ),
    Sample(f"paper-{ON_PAPER}", f"A {ON_PAPER} in ink on paper, turned", "digit", OURS, LICENCE, on_paper),
)
