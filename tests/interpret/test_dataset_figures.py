"""The finished figures that ship fit their network, and are what its layers give."""

import numpy as np
import pytest
import torch

from cnnviz import datasets
from cnnviz.inference.weights import bundled
from cnnviz.interpret import dataset_figures


def test_every_figure_fits_its_layer() -> None:
    figures = dataset_figures.read("small-googlenet-cifar10")
    assert figures is not None
    classes = len(bundled.card("small-googlenet-cifar10").classes)
    assert "inception_5b" in figures.layers
    for layer in figures.layers.values():
        assert layer.embedding.points.shape == (len(figures.labels), 2)
        assert layer.labels.shape == layer.values.shape
        assert layer.labels.max() < classes
        assert (np.diff(layer.values, axis=1) <= 0).all(), "the strongest first"
    assert dataset_figures.read("lenet5-mnist") is None
    assert dataset_figures.read("../secret") is None


def test_the_figures_are_what_the_layer_gives() -> None:
    loaded, data = bundled.load("lenet5-mnist"), datasets.load("digits")
    arrays = dataset_figures.compute(loaded, data, ["conv2", "fc1"], count=40)
    rows = np.unique(np.linspace(0, len(data.test) - 1, 40).astype(np.int64))
    assert (arrays["labels"] == data.test.labels[rows]).all()
    assert arrays["fc1/points"].shape == (40, 2)
    outputs: list[torch.Tensor] = []
    with loaded.model.get_submodule("conv2").register_forward_hook(lambda *given: outputs.append(given[2])):
        for images, _ in dataset_figures._batches(loaded, data, rows):
            loaded.model(images)
    values = torch.cat(outputs).detach().flatten(2).amax(2).numpy()
    strongest = np.sort(values, axis=0)[::-1][:9].T
    assert arrays["conv2/values"] == pytest.approx(strongest, rel=1e-2, abs=1e-2)
