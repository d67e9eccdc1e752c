"""Files from strangers: each comes out as Pillow's own conversion, or as one sentence."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnviz.datasets import DataError, image_files
from cnnviz.inference.images.decoder import Decoder
from cnnviz.inference.images.read_image import MAX_BYTES, Picture, Refusal, Upload, read, read_all
from tests.datasets.making import encoded, pixels

MODES = ("1", "L", "LA", "P", "PA", "I", "I;16", "F", "RGB", "RGBA", "CMYK", "LAB", "YCbCr", "HSV")
HOLDS = {
    "PNG": ("1", "L", "LA", "P", "I;16", "RGB", "RGBA"),
    "JPEG": ("L", "RGB", "CMYK", "YCbCr"),
    "WEBP": ("L", "RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("1", "L", "P"),
    "TIFF": ("1", "L", "LA", "P", "PA", "I", "I;16", "F", "RGB", "RGBA", "CMYK", "LAB", "YCbCr"),
}
WAYS = tuple((form, mode) for form, modes in HOLDS.items() for mode in modes)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    ours = Decoder()
    yield ours
    ours.close()


def noise(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    random, (height, width) = np.random.default_rng(seed), size
    if mode == "1":
        return Image.fromarray(random.integers(0, 2, size).astype(bool))
    if mode in ("I", "I;16", "F"):
        kind = {"I": np.int32, "I;16": np.uint16, "F": np.float32}[mode]
        return Image.fromarray(random.integers(0, 400, size).astype(kind))
    bands = len(Image.new(mode, (1, 1)).getbands())
    image = Image.frombytes(mode, (width, height), random.bytes(height * width * bands))
    if mode in ("P", "PA"):
        image.putpalette(random.bytes(768))
    return image


@given(
    way=st.sampled_from(WAYS), height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99)
)
@settings(max_examples=200)
def test_every_mode_in_every_format_is_what_pillow_makes_of_it(
    decoder: Decoder, way: tuple[str, str], height: int, width: int, seed: int
) -> None:
    form, mode = way
    data = encoded(noise(mode, (height, width), seed), form)
    result = read(Upload("renamed.txt", data), decoder)
    assert isinstance(result, Picture), result
    with Image.open(io.BytesIO(data)) as image:
        deep = mode in ("I", "I;16", "F")
        clear = image.has_transparency_data
        plain = (image_files.scaled(image) if deep else image).convert("RGBA" if clear else "RGB")
        assert np.array_equal(result.pixels, np.asarray(plain))
    assert (result.format, result.size, result.orientation) == (form, (height, width), 1)
    assert not result.moving


def test_every_way_in_is_read(decoder: Decoder) -> None:
    for form, mode in WAYS:
        result = read(Upload(f"{mode}.{form}", encoded(noise(mode, (9, 7), 1), form)), decoder)
        assert isinstance(result, Picture), (form, mode, result)
    assert {mode for _, mode in WAYS} | {"HSV"} == set(MODES)


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_many_frames_the_first_is_taken(decoder: Decoder, form: str) -> None:
    first, *rest = (Image.fromarray(np.full((6, 6, 3), value, np.uint8)) for value in (10, 100, 200))
    result = read(Upload("x", encoded(first, form, save_all=True, append_images=rest)), decoder)
    assert isinstance(result, Picture)
    assert result.moving
    assert np.abs(result.pixels[..., :3].astype(int) - 10).max() <= 2


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_camera_s_note_is_kept_for_its_own_step(decoder: Decoder, form: str) -> None:
    from PIL import ImageOps

    from cnnviz.inference.images.preprocessing import Preprocessing
    from cnnviz.inference.images.preprocessing_trace import steps

    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(pixels(4, (8, 14)), form, exif=exif)
    result = read(Upload("x", data), decoder)
    assert isinstance(result, Picture)
    with Image.open(io.BytesIO(data)) as image:
        turned = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert turned.shape == (14, 8, 3)
    assert np.array_equal(steps(result, Preprocessing.plain(3, (4, 4)))[1].picture, turned)


@given(data=st.binary(max_size=400))
def test_random_bytes_are_refused_in_one_sentence(decoder: Decoder, data: bytes) -> None:
    result = read(Upload("x.png", data), decoder)
    assert isinstance(result, Refusal)
    assert result.reason.startswith("'x.png' is ")
    assert result.reason.endswith(".")
    assert "\n" not in result.reason


@given(form=st.sampled_from(sorted(HOLDS)), cut=st.floats(0, 1), seed=st.integers(0, 5))
def test_what_is_cut_off_is_refused_or_read_as_pillow_reads_it(
    decoder: Decoder, form: str, cut: float, seed: int
) -> None:
    whole = encoded(pixels(seed, (12, 11)), form)
    data = whole[: int(cut * len(whole))]
    result = read(Upload("x", data), decoder)
    try:
        with Image.open(io.BytesIO(data), formats=[form]) as image:
            expected = np.asarray(image.convert("RGB"))
    except Exception:
        assert isinstance(result, Refusal)
        assert "\n" not in result.reason
    else:
        assert isinstance(result, Picture)
        assert np.array_equal(result.pixels, expected)


@given(
    seed=st.integers(0, 30),
    places=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    form=st.sampled_from(sorted(HOLDS)),
)
def test_no_damage_gets_through_as_an_exception(
    decoder: Decoder, seed: int, places: list[tuple[int, int]], form: str
) -> None:
    data = bytearray(encoded(pixels(seed, (12, 11)), form))
    for place, value in places:
        data[place % len(data)] = value
    result = read(Upload("x", bytes(data)), decoder)
    assert isinstance(result, Picture) or (result.reason.count(". ") == 0 and result.reason.endswith("."))


def png(width: int, height: int, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.png", b"", "'a.png' is empty; PNG, JPEG, WebP, BMP, GIF, TIFF and PPM are read."),
        ("a.png", b"%PDF-1.7 ...", "'a.png' is a PDF document; PNG, JPEG"),
        ("a.jpg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "'a.jpg' is an SVG drawing; PNG"),
        ("a.jpg", b"hello, world", "'a.jpg' is a text file; PNG"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "'a.heic' is a HEIC photograph; PNG"),
        ("a.png", b"\x00\x01\x02\x03\xfe\xff" * 9, "'a.png' is no image that is known here; PNG"),
        ("bomb.png", png(60_000, 60_000), "'bomb.png' is too large; an image has at most 40 million"),
        ("zero.png", png(0, 4), "'zero.png' is "),
        ("short.png", png(50, 50, zlib.compress(b"\0" * 60)), "'short.png' is damaged (image file is"),
        ("big.png", b"x" * (MAX_BYTES + 1), "'big.png' has 21 MB; an image has at most 20 MiB."),
        ("n" * 200, b"", f"'{'n' * 80}…' is empty"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_refused_says_what_it_is(decoder: Decoder, name: str, data: bytes, sentence: str) -> None:
    result = read(Upload(name, data, truth="cat"), decoder)
    assert isinstance(result, Refusal)
    assert result.reason.startswith(sentence)
    assert (result.name, result.truth) == (name, "cat")


def test_other_formats_of_pillows_are_refused(decoder: Decoder) -> None:
    for form in ("ICO", "TGA", "PDF", "ICNS", "SGI"):
        result = read(Upload("x", encoded(pixels(0, (16, 16)), form)), decoder)
        assert isinstance(result, Refusal), form


def test_one_broken_file_does_not_keep_the_others(decoder: Decoder) -> None:
    good = encoded(pixels(0))

    def gone() -> bytes:
        raise DataError("'d' went away.")

    def forbidden() -> bytes:
        raise PermissionError(13, "Permission denied")

    uploads: list[Upload | Refusal] = [
        *(Upload("a", good), Upload("b", b"?"), Refusal("c", "No."), Upload("d", gone)),
        *(Upload("e", forbidden), Upload("f", good, size=MAX_BYTES + 1), Upload("g", lambda: good)),
    ]
    result = list(read_all(uploads, decoder))
    assert [type(item) for item in result] == [Picture, Refusal, Refusal, Refusal, Refusal, Refusal, Picture]
    assert [item.name for item in result] == list("abcdefg")
