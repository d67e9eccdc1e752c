"""Test images that ship: what they are, how small, and that their license is stated beside them."""

import json

import numpy as np
import pytest

from cnnviz import datasets
from cnnviz.inference import samples
from cnnviz.inference.weights import bundled


def test_images_of_mnist_ship_with_licence_and_source() -> None:
    data = samples.test_images("mnist")
    assert data is not None
    assert samples.is_shipped(data)
    assert data.test.images.shape == (500, 1, 28, 28)
    assert np.bincount(data.test.labels).tolist() == [50] * 10
    assert len(data.train) == 0
    assert data.classes == datasets.specs()["mnist"].classes
    licence = datasets.specs()["mnist"].licence
    facts = json.loads((samples.SHIPPED / "mnist.json").read_text(encoding="utf-8"))
    assert facts["licence"] == licence == "CC BY-SA 3.0"
    stated = (samples.SHIPPED / "README.md").read_text(encoding="utf-8")
    assert "mnist.png" in stated
    assert licence in stated
    assert "LeCun" in stated
    assert sum(path.stat().st_size for path in samples.SHIPPED.glob("*.[jp]*")) < 1_000_000


@pytest.mark.parametrize("name", ["lenet5-mnist", "lenet5-1998-mnist"])
def test_the_shipped_networks_read_them_as_their_cards_say(name: str) -> None:
    """Labels stand beside their images: anything shuffled would be read at chance level."""
    import torch

    data, loaded = samples.test_images("mnist"), bundled.load(name)
    assert data is not None
    with torch.no_grad():
        predicted = loaded.model(loaded.preprocessing.inputs(torch.from_numpy(data.test.images))).argmax(1)
    assert np.mean(predicted.numpy() == data.test.labels) > 0.98


@pytest.mark.parametrize("name", ["cifar10", "no-such", "", "../x"])
def test_of_others_none_ship(name: str) -> None:
    assert samples.test_images(name) is None
