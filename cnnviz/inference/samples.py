"""Sample images and test images that ship with the product, with author and license.

No sample is a file in the repository: our own are drawn by code, identical to the bit every time; others come
from libraries that ship them. Test images are, and `python -m cnnviz.inference.samples FOLDER` makes MNIST's
from MNIST in any layout that `datasets.load` supports.
"""

from __future__ import annotations

import colorsys
import functools
import gzip
import hashlib
import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from cnnviz import datasets
from cnnviz.datasets.dataset import Dataset, Part
from cnnviz.inference import InferenceError
from cnnviz.inference.images.read_image import Upload

__all__ = ["LICENCE", "OURS", "Sample", "all_samples", "get", "is_shipped", "test_images"]

# Type of a sample.

Kind = Literal["digit", "drawing", "test card", "photograph"]
OURS, LICENCE = "Drawn by cnnviz", "MIT"


@dataclass(frozen=True)
class Sample:
    """Sample image: its name in a URL, title, author, license, and a function that creates it."""

    name: str
    title: str
    kind: Kind
    credit: str
    licence: str
    make: Callable[[], Image.Image | bytes]
    """Returns a Pillow image, or the bytes of a file."""

    def data(self) -> bytes:
        """Return the bytes of an image file, as in an upload."""
        return _encoded(self.make)

    def upload(self) -> Upload:
        """Return the sample as an upload."""
        return Upload(f"{self.name}.{'jpg' if self.kind == 'photograph' else 'png'}", self.data())


@functools.cache
def _encoded(make: Callable[[], Image.Image | bytes]) -> bytes:
    content = make()
    if isinstance(content, bytes):
        return content
    buffer = io.BytesIO()
    content.save(buffer, "PNG")
    return buffer.getvalue()


# Simple color scenes of objects for which CIFAR-10 has classes.

# Strokes with round caps, drawn large and reduced for antialiasing.

Point = tuple[float, float]
Stroke = Sequence[Point]
STROKES_FINER = 8
"""Supersampling factor."""


def arc(centre: Point, radii: Point, start: float, end: float, steps: int = 40) -> list[Point]:
    """Return points on an ellipse from `start` to `end` degrees; 0 is to the right, 90 down."""
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(centre[0] + radii[0] * math.cos(a), centre[1] + radii[1] * math.sin(a)) for a in angles]


def draw_strokes(strokes: Iterable[Stroke], side: int, width: float) -> Image.Image:
    """Draw strokes in a unit square, white on black, as grayscale; `width` is a fraction of `side`."""
    large = side * STROKES_FINER
    picture = Image.new("L", (large, large))
    pen, radius = ImageDraw.Draw(picture), width * large / 2
    for stroke in strokes:
        points = [(x * large, y * large) for x, y in stroke]
        pen.line(points, fill=255, width=round(2 * radius))
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return picture.resize((side, side), Image.Resampling.BOX)


SIDE, FINER = 128, 4
Colour = tuple[int, int, int]
SKY_TOP, SKY_LOW = (92, 148, 214), (206, 226, 242)
BLACK, GLASS, RED, WHITE, STEEL = (26, 26, 28), (60, 78, 96), (176, 28, 30), (240, 240, 238), (148, 154, 162)


class Piece(NamedTuple):
    """Polygon of one color, in hundredths of the side."""

    colour: Colour
    points: Sequence[Point]


class Scene(NamedTuple):
    """Sky above the horizon, a ground, and polygons on top of each other."""

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


def draw_scene(scene: Scene) -> Image.Image:
    """Draw the scene as a color image, `SIDE` × `SIDE`."""
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


DRAWINGS = tuple(
    Sample(name, scene.title, "drawing", OURS, LICENCE, functools.partial(draw_scene, scene))
    for name, scene in (("ship", SHIP), ("airplane", AIRPLANE), ("automobile", AUTOMOBILE), ("truck", TRUCK))
)


# Digits drawn with a round pen: white on black like MNIST's, and one as ink on paper, rotated.

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
DIGIT_SIDE, WIDTH = 28, 0.085
PAPER, ON_PAPER = 420, 4
_ORIENTATION = 0x0112


def digit(number: int, side: int = DIGIT_SIDE) -> Image.Image:
    """Draw a digit as a grayscale image `side` × `side`, light on dark."""
    return draw_strokes(STROKES[number], side, WIDTH)


def on_paper() -> bytes:
    """Draw a digit like a phone's photograph: dark on light, off-center, rotated by Exif orientation."""
    paper = Image.new("L", (PAPER, round(PAPER * 0.75)), 235)
    paper.paste(ImageOps.invert(digit(ON_PAPER, 240)).point(lambda v: round(v * 0.92)), (130, 20))
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    buffer = io.BytesIO()
    paper.transpose(Image.Transpose.ROTATE_90).convert("RGB").save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


DIGITS = (
    *(
        Sample(f"digit-{n}", f"A drawn {n}", "digit", OURS, LICENCE, functools.partial(digit, n))
        for n in range(10)
    ),
    Sample(f"paper-{ON_PAPER}", f"A {ON_PAPER} in ink on paper, turned", "digit", OURS, LICENCE, on_paper),
)


# Images of libraries that cnnviz depends on, with the license stated there.

CC_BY_2 = "CC BY 2.0"
ENLARGED = 4
SCANNED = {3: 3, 5: 5, 8: 8}
"""Digits, and the rows of scikit-learn's digits that show them."""


def _shipped_by_sklearn(*parts: str) -> bytes:
    """Read a file of scikit-learn's data sets; `importlib.resources` would import it, which takes 90 MB."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("scikit-learn, which some sample images come from, is not installed.")
    return Path(spec.origin).with_name("datasets").joinpath(*parts).read_bytes()


def photograph(name: str) -> bytes:
    """Return a JPEG file that scikit-learn ships."""
    return _shipped_by_sklearn("images", name)


def scanned(row: int) -> Image.Image:
    """Return a scanned digit of 8×8 pixels in 17 gray levels, enlarged by nearest neighbor, light on dark."""
    packed = _shipped_by_sklearn("data", "digits.csv.gz")
    line = gzip.decompress(packed).decode().splitlines()[row]
    values = np.array(line.split(",")[:64], dtype=float).reshape(8, 8)
    pixels = np.rint(values * 255 / 16).astype(np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((ENLARGED, ENLARGED), np.uint8)))


PHOTOGRAPHS = (
    *(
        Sample(
            f"scanned-{digit}", f"A scanned {digit}", "digit",
            "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI), from scikit-learn",
            "CC BY 4.0", functools.partial(scanned, row),
        )
        for digit, row in SCANNED.items()
    ),
    Sample(
        "temple", "The Summer Palace in Beijing", "photograph",
        "danielbuechele on Flickr, from scikit-learn (china.jpg)", CC_BY_2,
        functools.partial(photograph, "china.jpg"),
    ),
    Sample(
        "flower", "A dahlia", "photograph",
        "vultilion on Flickr, from scikit-learn (flower.jpg)", CC_BY_2,
        functools.partial(photograph, "flower.jpg"),
    ),
)  # fmt: skip


# Test cards: images with exactly known content, to show the response of filters.


def zone_plate() -> Image.Image:
    """Draw rings that become finer outwards: all directions and spatial frequencies at once."""
    axis = (np.arange(SIDE) - (SIDE - 1) / 2) / (SIDE / 2)
    squared = axis[:, None] ** 2 + axis[None] ** 2
    rings = np.cos(squared * np.pi * SIDE / 4)
    return Image.fromarray(np.rint(127.5 + 127.5 * rings).astype(np.uint8))


def colour_wheel() -> Image.Image:
    """Draw a color wheel: hue by angle, saturation by radius."""
    axis = (np.arange(SIDE) - (SIDE - 1) / 2) / (SIDE / 2)
    hue = np.arctan2(axis[:, None], np.broadcast_to(axis, (SIDE, SIDE))) / (2 * np.pi) % 1
    saturation = np.minimum(1, np.hypot(axis[:, None], axis[None]))
    pixels = [
        colorsys.hsv_to_rgb(float(h), float(s), 1.0)
        for h, s in zip(hue.ravel(), saturation.ravel(), strict=True)
    ]
    return Image.fromarray(np.rint(np.array(pixels) * 255).astype(np.uint8).reshape(SIDE, SIDE, 3))


def stripes() -> Image.Image:
    """Draw stripes in eight directions, one in each of eight fields."""
    rows, columns = np.indices((SIDE // 2, SIDE // 4))
    fields = []
    for number in range(8):
        angle = np.pi * number / 8
        wave = np.sin((np.cos(angle) * columns + np.sin(angle) * rows) * 2 * np.pi / 6)
        fields.append(np.rint(127.5 + 120 * wave).astype(np.uint8))
    return Image.fromarray(np.vstack([np.hstack(fields[:4]), np.hstack(fields[4:])]))


TEST_CARDS = (
    Sample("zone-plate", "Zone plate", "test card", OURS, LICENCE, zone_plate),
    Sample("stripes", "Stripes in eight directions", "test card", OURS, LICENCE, stripes),
    Sample("colour-wheel", "Color wheel", "test card", OURS, LICENCE, colour_wheel),
)


# Registry of samples.


@functools.cache
def all_samples() -> dict[str, Sample]:
    """Return all samples by name: digits, drawings, test cards, photographs."""
    samples = (*DIGITS, *DRAWINGS, *TEST_CARDS, *PHOTOGRAPHS)
    return {sample.name: sample for sample in samples}


def get(name: str) -> Sample:
    """Return the sample called `name`; raise `InferenceError`, which lists them, where there is none."""
    known = all_samples()
    if name not in known:
        raise InferenceError(f"There is no sample '{name[:80]}'; there are: {', '.join(known)}.")
    return known[name]


# Test images that ship, so that views of test images work without a network. `NAME.png` contains them side
# by side, `NAME.json` their labels, source and license, which its README.md also states. The images of
# `digits` come with scikit-learn, a dependency of cnnviz.

SHIPPED = Path(__file__).with_name("shipped")


@functools.cache
def test_images(name: str) -> Dataset | None:
    """Return the shipped test images of data set `name`, or None; the training part is empty."""
    if name not in _test_image_sets():
        return None
    facts: dict[str, Any] = json.loads((SHIPPED / f"{name}.json").read_text(encoding="utf-8"))
    with Image.open(SHIPPED / f"{name}.png") as sheet:
        pixels = np.asarray(sheet.convert("L"))
    height, width = facts["size"]
    rows, columns = pixels.shape[0] // height, pixels.shape[1] // width
    tiles = pixels.reshape(rows, height, columns, width).transpose(0, 2, 1, 3).reshape(-1, 1, height, width)
    labels = np.array(facts["labels"], dtype=np.int64)
    images = np.ascontiguousarray(tiles[: len(labels)])
    return Dataset(
        name=name,
        title=facts["title"],
        classes=tuple(facts["classes"]),
        train=Part(images[:0], labels[:0]),
        test=Part(images, labels),
        fingerprint=hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest(),
        notes=(facts["source"], f"License: {facts['licence']}."),
        folder=SHIPPED,
    )


@functools.cache
def _test_image_sets() -> tuple[str, ...]:
    """Return the data sets with shipped test images."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.json")))


def is_shipped(data: Dataset) -> bool:
    """Return whether these are the shipped images rather than the whole data set."""
    return data.folder == SHIPPED


EACH, COLUMNS = 50, 25
"""Images per class, and per row of the sheet."""


def record(folder: str) -> None:
    """Write the first images of each class of the test part, in their order."""
    test = datasets.load(folder).test
    rows = np.sort(np.concatenate([np.flatnonzero(test.labels == label)[:EACH] for label in range(10)]))
    images, labels = np.array(test.pixels(rows)), test.labels[rows]
    _, _, height, width = images.shape
    lines = len(images) // COLUMNS
    sheet = images.reshape(lines, COLUMNS, height, width).transpose(0, 2, 1, 3)
    Image.fromarray(sheet.reshape(lines * height, COLUMNS * width)).save(SHIPPED / "mnist.png", optimize=True)
    facts = {
        "title": f"{len(images)} test images of MNIST",
        "classes": list("0123456789"),
        "size": [height, width],
        "labels": labels.tolist(),
        "source": f"{EACH} test images of each class of MNIST (Y. LeCun, C. Cortes, C. Burges), unchanged.",
        "licence": "CC BY-SA 3.0",
    }
    (SHIPPED / "mnist.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1])
