"""A file that was handed in is what Pillow reads, and goes in as the network's preprocessing says."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.read_image import Picture, Refusal
from cnnviz.ui.shared.inspection import image_input
from cnnviz.ui.shared.inspection.predictions import prepared

PIXELS = np.random.default_rng(3).integers(0, 256, (37, 52, 3)).astype(np.uint8)


def encoded(mode: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_goes_in_as_pillow_reads_it(mode: str, channels: int) -> None:
    data = encoded(mode)
    picture = image_input.decoded(f"{mode}.png", data)
    assert isinstance(picture, Picture)
    plain = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(picture.pixels, plain)
    how = Preprocessing.plain(channels, (28, 28))
    ready = prepared(picture, how)
    assert ready.shots[0].name == "original"
    assert torch.equal(ready.tensor, how.inputs(torch.from_numpy(ready.stored)[None]))
    assert ready.seen.shape == (28, 28, channels)


def test_another_setting_is_another_picture() -> None:
    picture = Picture.of_data("one", PIXELS.transpose(2, 0, 1))
    own = Preprocessing.plain(3, (32, 32))
    first, again, other = (prepared(picture, how) for how in (own, own, own.changed(invert=True)))
    assert first is again
    assert first.digest != other.digest


def test_what_is_no_picture_is_refused_in_one_sentence() -> None:
    decoded = image_input.decoded("note.txt", b"just words")
    assert isinstance(decoded, Refusal)
    assert decoded.reason.count(".") == 2, "the name's dot, and one sentence"
