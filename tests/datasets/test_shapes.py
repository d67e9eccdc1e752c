"""The generator: the same seed draws the same bytes, and what it draws can be learned but not read off."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz import datasets
from cnnviz.datasets.sources import shapes

SIZES = st.integers(8, 40)
SEEDS = st.integers(0, 2**31 - 1)


@settings(max_examples=10)
@given(count=st.integers(1, 30), size=SIZES, seed=SEEDS)
def test_any_size_and_count_is_drawn_and_the_same_again(count: int, size: int, seed: int) -> None:
    images, labels = shapes.draw(count, size, seed)
    assert images.shape == (count, 3, size, size)
    assert images.dtype == np.uint8
    assert labels.shape == (count,)
    again, same = shapes.draw(count, size, seed)
    assert images.tobytes() == again.tobytes()
    assert labels.tolist() == same.tolist()


@settings(max_examples=5)
@given(seed=SEEDS)
def test_a_larger_set_begins_like_a_smaller(seed: int) -> None:
    few, many = shapes.draw(20, 8, seed), shapes.draw(shapes.CHUNK + 20, 8, seed)
    assert few[0].tobytes() == many[0][:20].tobytes()
    assert few[1].tolist() == many[1][:20].tolist()


def test_training_and_test_share_no_image() -> None:
    ready = datasets.load("shapes", {"train": 300, "test": 300, "size": 12})
    seen = {hashlib.sha256(image.tobytes()).digest() for image in ready.train.images}
    assert len(seen) == 300
    assert not seen & {hashlib.sha256(image.tobytes()).digest() for image in ready.test.images}


def test_the_bytes_are_those_of_the_first_release() -> None:
    """What a run records as its data must be drawn again years later; raise the spec's revision if not."""
    assert datasets.load("shapes", {"train": 250, "test": 10}).fingerprint == (
        "df8a7ed95ed337d3b2336cd9376d8a5bfb5cfdfddd162eca32328ca59d24181a"
    )


def test_every_class_is_as_frequent() -> None:
    _, labels = shapes.draw(2 * shapes.CHUNK, 8, seed=5)
    assert np.bincount(labels).tolist() == [50] * 10


def _area(name: str, radius: float = 1.0) -> float:
    axis = np.linspace(-1.4, 1.4, 801)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return float((shapes.SHAPES[name](x, y) < 0).mean() * 2.8**2)


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("disc", np.pi * 0.9**2),
        ("ring", np.pi * (0.92**2 - 0.52**2)),
        ("triangle", 3 / 4 * np.sqrt(3) * 1.15**2),
        ("square", 2 * 1.1**2),
        ("pentagon", 5 / 2 * np.sin(2 * np.pi / 5) * 1.05**2),
        ("star", 5 * 1.1 * 0.45 * np.sin(np.pi / 5)),
        ("cross", 4 * 0.64 - 0.64**2),
        ("heart", 1.2**2 + np.pi * 0.6**2),
    ],
)
def test_shapes_have_the_area_of_their_formula(name: str, area: float) -> None:
    assert _area(name) == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("read", ["mean color", "pixels"])
def test_colours_and_brightness_do_not_give_the_class_away(read: str) -> None:
    """The nearest mean, of colors or of pixels, sees all but the shape: barely better than guessing."""
    train, labels = shapes.draw(2000, 16, seed=1)
    test, truth = shapes.draw(1000, 16, seed=1, stream=1)
    known, asked = ((part / 255).reshape(len(part), 3, -1) for part in (train, test))
    if read == "mean color":
        known, asked = (part.mean(axis=2, keepdims=True) for part in (known, asked))
    means = np.stack([known[labels == label].mean(axis=0) for label in range(10)])
    distance = ((asked[:, None] - means) ** 2).sum(axis=(2, 3))
    assert (distance.argmin(axis=1) == truth).mean() < 0.25


@pytest.mark.slow
def test_a_small_network_learns_them() -> None:
    """Three convolutions and six epochs: far above guessing, with something left to learn."""
    torch.manual_seed(0)
    ready = datasets.load("shapes")
    images, labels = ready.train.tensors()
    network = _network()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=6 * 100)
    for _ in range(6):
        for rows in torch.randperm(len(images)).view(-1, 100):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(_scaled(images[rows])), labels[rows])
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    images, labels = ready.test.tensors()
    with torch.no_grad():
        accuracy = float((network.eval()(_scaled(images)).argmax(1) == labels).double().mean())
    assert 0.8 < accuracy < 0.99


def _network() -> torch.nn.Module:
    layers: list[torch.nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        convolution = torch.nn.Conv2d(before, after, 3, padding=1)
        layers += [convolution, torch.nn.BatchNorm2d(after), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    return torch.nn.Sequential(
        *layers, torch.nn.AdaptiveMaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(256, 10)
    )


def _scaled(images: torch.Tensor) -> torch.Tensor:
    return (images.float() / 255 - 0.5) * 4
