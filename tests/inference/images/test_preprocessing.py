"""A picture goes in exactly as training's evaluation, or torchvision, would have put it in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from cnnviz.datasets import Dataset, Part
from cnnviz.inference import InferenceError
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.preprocessing_trace import steps, stored_pixels
from cnnviz.inference.images.read_image import Picture
from cnnviz.sentences import american
from cnnviz.training import Recipe
from cnnviz.training.checkpoint import ModelSignature
from cnnviz.training.data.transforms import Statistics, Transform
from cnnviz.training.setup import TrainingSetup, build_training

NAMES = ["original", "oriented", "gray", "resized", "normalized"]


def data(channels: int, size: tuple[int, int]) -> Dataset:
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (24, channels, *size), dtype=np.uint8)
    part = Part(images, np.arange(24) % 3)
    return Dataset("noise", "Noise", ("a", "b", "c"), part, part, "f" * 64, (), Path())


def both(recipe: Recipe, dataset: Dataset) -> tuple[TrainingSetup, Transform, Preprocessing]:
    ready = build_training(recipe.changed({"device": "cpu", "validation": 0}), dataset)
    statistics = Statistics.of(ready.data_module.train.images)
    how = Preprocessing.of_training(recipe, ModelSignature(dataset.classes, ready.side, statistics))
    return ready, Transform(recipe, statistics, ready.side), how


@pytest.mark.parametrize("scale", ["unit", "standardised", "raw", "raw-minus-mean"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"crop_from": 36}, {"ten_crop": True}, {"size": 32}, {"crop_from": 30, "ten_crop": True}],
    ids=lambda changes: "-".join(changes) or "plain",
)
@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (32, 20))], ids=["grey", "colour"])
def test_an_image_of_the_data_goes_in_as_in_training(
    scale: str, changes: dict[str, Any], channels: int, size: tuple[int, int]
) -> None:
    recipe = Recipe(model="lenet5").changed({"scale": scale, **changes})
    dataset = data(channels, size)
    ready, transform, how = both(recipe, dataset)
    known = ready.data_module.test.images
    assert isinstance(known, torch.Tensor)
    how = Preprocessing.model_validate_json(how.model_dump_json())
    pictures = [Picture.of_data(str(number), image) for number, image in enumerate(dataset.test.images)]
    images = torch.from_numpy(np.stack([stored_pixels(picture, how) for picture in pictures]))
    assert torch.equal(images, known)
    assert torch.equal(how.inputs(images), transform.test(known))
    single = Transform(recipe.changed({"ten_crop": False}), transform.statistics, ready.side)
    for picture, image in zip(pictures[:3], images, strict=False):
        tensor = steps(picture, how)[-1].tensor
        assert tensor is not None
        assert torch.equal(tensor, single.test(image[None]))


def test_torchvisions_own_transforms_are_followed_to_the_bit() -> None:
    from torchvision import models

    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, size, dtype=np.uint8) for size in ((301, 222, 3), (90, 181, 3))]
    seen = set()
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            transforms = weights.transforms()
            if repr(transforms) in seen:
                continue
            seen.add(repr(transforms))
            how = Preprocessing.of_torchvision(transforms)
            for pixels in pictures:
                tensor = steps(Picture("x", pixels), how)[-1].tensor
                assert tensor is not None
                assert torch.equal(tensor[0], transforms(Image.fromarray(pixels))), transforms
    assert len(seen) > 10


@pytest.mark.parametrize("orientation", range(9))
def test_a_camera_s_note_is_obeyed_as_a_step_of_its_own(orientation: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    how = Preprocessing.plain(3, (4, 4))
    result = {step.name: step for step in steps(Picture("x", pixels, orientation=orientation), how)}
    assert np.array_equal(result["original"].picture, pixels)
    assert np.array_equal(result["oriented"].picture, np.asarray(ImageOps.exif_transpose(image)))
    lying = steps(Picture("x", pixels, orientation=orientation), how.changed(oriented=False))[1]
    assert np.array_equal(lying.picture, pixels)


@pytest.mark.parametrize(("background", "value"), [("white", 255), ("grey", 128), ("black", 0)])
def test_transparency_is_laid_over_the_stated_background(background: str, value: int) -> None:
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0] = (10, 20, 30, 255)
    how = Preprocessing.plain(3, (2, 2)).changed(background=background)
    result = steps(Picture("x", pixels), how)
    assert [step.name for step in result] == [
        "original",
        "flattened",
        "oriented",
        "color",
        "resized",
        "normalized",
    ]
    assert result[1].picture[0].tolist() == [[10, 20, 30]] * 2
    assert result[1].picture[1].tolist() == [[value] * 3] * 2
    assert american(background) in result[1].text


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    fit=st.sampled_from(["crop", "pad", "stretch", "shorter"]),
    channels=st.sampled_from([1, 3]),
    invert=st.booleans(),
    centre=st.booleans(),
    seed=st.integers(0, 9),
)
def test_whatever_comes_in_a_tensor_of_the_models_size_comes_out(
    height: int, width: int, fit: str, channels: int, invert: bool, centre: bool, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    how = Preprocessing.plain(channels, (16, 16)).changed(
        stored=(20, 20), fit=fit, invert=invert, centre=centre
    )
    result = steps(Picture("x", pixels), how)
    tensor = result[-1].tensor
    assert tensor is not None
    assert tensor.shape == (1, channels, 16, 16)
    assert all(step.tensor is None for step in result[:-1])
    assert 0 <= float(tensor.min()) <= float(tensor.max()) <= 1
    assert torch.equal(how.inputs(torch.from_numpy(stored_pixels(Picture("x", pixels), how))[None]), tensor)
    for step in result:
        assert step.picture.dtype == np.uint8
        assert step.picture.shape[:2] == step.size
        assert step.text.endswith(".")


def test_of_a_grey_image_one_channel_is_taken_as_the_weighted_mean_of_three() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    how = Preprocessing.plain(1, (16, 16))
    grey, colour = (stored_pixels(Picture("x", ramp, mode=mode), how) for mode in ("L", "RGB"))
    assert np.array_equal(grey, ramp.transpose(2, 0, 1)[:1])
    assert np.array_equal(colour, grey)


def test_drawn_digits_are_centred_as_mnists_were() -> None:
    ink = np.full((90, 120, 3), 255, dtype=np.uint8)
    ink[10:50, 80:100] = 0
    how = Preprocessing.plain(1, (28, 28)).changed(invert=True, centre=True)
    result = steps(Picture("x", ink), how)
    assert [step.name for step in result[2:]] == ["gray", "inverted", "centered", "resized", "normalized"]
    tensor = result[-1].tensor
    assert tensor is not None
    rows, columns = (tensor[0, 0].sum(axis) / tensor.sum() for axis in (1, 0))
    place = torch.arange(28.0)
    assert abs(float((rows * place).sum()) - 13.5) < 0.6
    assert abs(float((columns * place).sum()) - 13.5) < 0.6
    lit = (tensor[0, 0] > 0.5).nonzero()
    assert int(lit[:, 0].max() - lit[:, 0].min()) + 1 in (19, 20, 21)


def test_nothing_drawn_stays_as_it_is() -> None:
    how = Preprocessing.plain(1, (8, 8)).changed(centre=True)
    tensor = steps(Picture("x", np.zeros((9, 9, 3), dtype=np.uint8)), how)[-1].tensor
    assert tensor is not None
    assert not tensor.any()


def test_large_pictures_are_shown_small_but_go_in_whole() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 3000, 3), dtype=np.uint8)
    how = Preprocessing.plain(1, (8, 8))
    result = steps(Picture("x", pixels), how)
    assert [step.name for step in result] == NAMES
    assert (result[0].size, result[0].picture.shape) == ((40, 3000), (14, 1024, 3))
    grey = Image.fromarray(result[2].picture[..., 0])
    assert grey.size == (1024, 14)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fit": "squeeze"}, "at fit: crop or pad or stretch or shorter"),
        ({"side": (0, 3)}, "sizes are from 1 to 2,048 pixels"),
        ({"scale": "standardised"}, "needs a mean for each of 3 channels"),
        ({"fit": "shorter", "stored": (4, 4)}, "at least the input's side"),
        ({"mean_image": "AAAA"}, "another size"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InferenceError, match=sentence):
        Preprocessing.plain(3, (8, 8)).changed(**changes)
