"""One reading of a picture: as an image of a data set it has the pixels that Predict sees."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnviz import datasets
from cnnviz.datasets.encoded_store import decode, header
from cnnviz.inference.images.decoder import Decoder
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.preprocessing_trace import stored_pixels
from cnnviz.inference.images.read_image import Picture, Upload, read
from tests.datasets.making import encoded, pixels, table, write

SIDE = 28
RAMP = np.linspace(0, 65_535, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    ours = Decoder()
    yield ours
    ours.close()


def turned(form: str, orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(pixels(3, (2 * SIDE, SIDE)), form, exif=exif)


def clear_palette() -> bytes:
    picture = Image.fromarray(pixels(5, (SIDE, SIDE))).quantize(8)
    return encoded(picture, "PNG", transparency=3)


def frames() -> bytes:
    first, *rest = (Image.fromarray(pixels(seed, (SIDE, SIDE))) for seed in range(3))
    return encoded(first, "GIF", save_all=True, append_images=rest)


def colored(mode: str, form: str) -> bytes:
    bands = len(Image.new(mode, (1, 1)).getbands())
    random = np.random.default_rng(1)
    return encoded(Image.frombytes(mode, (SIDE, SIDE), random.bytes(SIDE * SIDE * bands)), form)


def swapped() -> bytes:
    """A big-endian TIFF of 16 bits, which Pillow opens as I;16B."""
    return encoded(Image.frombytes("I;16B", (SIDE, SIDE), RAMP.byteswap().tobytes()), "TIFF")


WAYS: dict[str, Callable[[], bytes]] = {
    "16-bit PNG": lambda: encoded(RAMP),
    "16-bit TIFF": lambda: encoded(RAMP, "TIFF"),
    "16-bit TIFF, big-endian": swapped,
    "32-bit TIFF": lambda: encoded(RAMP.astype(np.int32) * 32_767, "TIFF"),
    "float TIFF": lambda: encoded((RAMP / 65_535).astype(np.float32), "TIFF"),
    "16-bit PGM": lambda: encoded(RAMP.astype(np.int32), "PPM"),
    "one bit": lambda: encoded(Image.fromarray(RAMP > 30_000)),
    "gray and opacity": lambda: colored("LA", "PNG"),
    "color and opacity": lambda: colored("RGBA", "PNG"),
    "palette with a clear color": clear_palette,
    "CMYK": lambda: colored("CMYK", "JPEG"),
    "animated": frames,
    **{f"turned {form}": partial(turned, form) for form in ("PNG", "JPEG", "WEBP", "TIFF")},
    **{f"PNG turned {way}": partial(turned, "PNG", way) for way in (2, 3, 4, 5, 7, 8)},
}


def predicted(data: bytes, decoder: Decoder) -> np.ndarray:
    """What Predict makes of a file, at the size of the training images."""
    result = read(Upload("x", data), decoder)
    assert isinstance(result, Picture), result
    channels = 3 if header(data, "x").colour else 1
    return stored_pixels(result, Preprocessing.plain(channels, (SIDE, SIDE)))


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_is_the_same_as_data_and_in_predict(way: str, decoder: Decoder) -> None:
    data = WAYS[way]()
    as_data = decode(data, way, (SIDE, SIDE), header(data, way).colour)
    seen = predicted(data, decoder)
    assert as_data.shape == seen.shape
    # Pillow reduces a JPEG while it is decoded; all else is the same to the bit.
    assert np.abs(as_data.astype(int) - seen.astype(int)).max() <= (1 if "JPEG" in way else 0)


@pytest.mark.parametrize("way", [way for way in WAYS if way.startswith(("16-bit", "32-bit", "float"))])
def test_a_deep_picture_is_scaled_and_not_cut_off(way: str, decoder: Decoder) -> None:
    seen = predicted(WAYS[way](), decoder)
    assert seen.mean() == pytest.approx(127.5, abs=2)
    assert (seen.min(), seen.max()) == (0, pytest.approx(255, abs=10))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_turned_picture_lies_in_the_data_upright(form: str) -> None:
    data = turned(form)
    assert header(data, form)[:2] == (SIDE, 2 * SIDE)
    with Image.open(io.BytesIO(turned(form, 1))) as lying:
        upright = np.asarray(lying.convert("RGB").transpose(Image.Transpose.ROTATE_270))
    assert np.array_equal(decode(data, form, (SIDE, 2 * SIDE), True).transpose(1, 2, 0), upright)


@pytest.mark.parametrize("layout", ["folder", "zip", "parquet"])
def test_every_layout_reads_deep_and_turned_pictures_alike(
    layout: str, tmp_path: Path, decoder: Decoder
) -> None:
    files = {
        f"{kind}/{number}.png": encoded(np.roll(RAMP, number, 0)) for kind in "ab" for number in range(10)
    }
    if layout == "folder":
        place = write(tmp_path / "deep", files)
    elif layout == "zip":
        place = tmp_path / "deep.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        place = tmp_path / "deep.parquet"
        table(place, list(files.values()), ["ab".index(name[0]) for name in files])
    result = datasets.load(place)
    want = predicted(encoded(RAMP), decoder)
    every = np.concatenate([result.train.images, result.test.images])
    assert any(np.array_equal(image, want) for image in every)
    assert every.mean() == pytest.approx(127.5, abs=1)
