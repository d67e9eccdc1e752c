"""The arithmetic of a fresh network against fresh networks, and against numerical integrals."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cnnviz import models
from cnnviz.diagnosis.evidence.mean_field import (
    LayerPropagation,
    Signal,
    UnknownArithmeticError,
    after_relu,
    propagate,
)
from cnnviz.models.layers import Activation, BatchNorm, Conv, Flatten, Init, LayerList, Linear
from cnnviz.models.library import spec_of


def images(count: int = 12, side: int = 67) -> Tensor:
    """Smooth colors that differ from image to image, pixels in [0, 1]."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    return nn.functional.interpolate(coarse, (side, side), mode="bilinear")


def entering(x: Tensor) -> Signal:
    return Signal(float(x.square().mean()), float(x.var(0, correction=0).mean().sqrt()))


def measured(layers: LayerList, x: Tensor) -> dict[str, tuple[float, float]]:
    """Spread and signal of every layer of one fresh network."""
    torch.manual_seed(0)
    result = {}
    with torch.no_grad():
        for name, part in (
            models.build(spec_of(layers, layers.name), layers.classes, layers.input[1:])
            .eval()
            .named_children()
        ):
            x = part(x)
            result[name] = (float(x.std(correction=0)), float(x.var(0, correction=0).mean().sqrt()))
    return result


def alexnet(side: int, **options: str) -> LayerList:
    spec = models.get("alexnet")
    assert spec.layers is not None
    return spec.layers(10, (3, side, side), spec.options.parse(options))


def by_name(found: tuple[LayerPropagation, ...]) -> dict[str, LayerPropagation]:
    return {layer.name: layer for layer in found}


def test_the_articles_alexnet_hands_on_what_the_arithmetic_says() -> None:
    """Eight layers deep, the signal falls by four powers of ten, and the sums stay right to a quarter."""
    layers, x = alexnet(67, init="article", normalisation="lrn-article"), images()
    text, seen = propagate(layers, entering(x)), measured(layers, x)
    assert [layer.name for layer in text] == [
        "conv1",
        "conv2",
        "conv3",
        "conv4",
        "conv5",
        "fc1",
        "fc2",
        "fc3",
    ]
    for layer in text:
        assert layer.signal == pytest.approx(seen[layer.name][1], rel=0.3), layer.name
    assert text[-1].signal < 1e-3 * text[-1].spread


@pytest.mark.parametrize("init", ["default", "he", "paper"])
def test_pooling_lifts_values_and_nothing_else_is_missing(init: str) -> None:
    layers, x = alexnet(67, init=init), images()
    text, seen = propagate(layers, entering(x)), measured(layers, x)
    for layer in text:
        for arithmetic, real in zip((layer.spread, layer.signal), seen[layer.name], strict=True):
            assert 0.75 < real / arithmetic < 5, layer.name


@pytest.mark.parametrize(
    "start", [Init(weights="he", bias=0.0), Init(weights="normal", std=0.05, bias=0.3), Init()]
)
def test_a_chain_without_pooling_is_met_closely(start: Init) -> None:
    """Averages over many units and few layers: little is left to chance."""
    chain = [Conv(name="conv1", out=128, kernel=3, padding=1, init=start), Activation(name="relu1"),
             Conv(name="conv2", out=128, kernel=3, padding=1, stride=2, init=start), Activation(name="relu2"),
             Flatten(), Linear(name="fc", init=start)]  # fmt: skip
    layers = LayerList(input=(3, 13, 13), classes=400, layers=tuple(chain))
    x = images(40, 13)
    seen = measured(layers, x)
    for layer in propagate(layers, entering(x)):
        spread, signal = seen[layer.name]
        assert layer.signal == pytest.approx(signal, rel=0.15), layer.name
        # What all images have in common meets each layer's weights only once: more of it is chance.
        assert layer.spread == pytest.approx(spread, rel=0.3), layer.name


@pytest.mark.parametrize(
    ("mean", "spread", "signal"), [(0, 1, 0.5), (1, 0.02, 0.001), (-1, 2, 2), (0.4, 1, 0.01)]
)
def test_a_relu_by_drawing_numbers(mean: float, spread: float, signal: float) -> None:
    random = np.random.default_rng(0)
    common = mean + math.sqrt(spread**2 - signal**2) * random.standard_normal(100_000)
    pair = np.maximum(common + signal * random.standard_normal((2, 100_000)), 0)
    result = after_relu(Signal(spread**2 + mean**2, signal), mean)
    assert result.square == pytest.approx(float((pair**2).mean()), rel=0.03)
    assert result.signal == pytest.approx(float(np.sqrt(((pair[0] - pair[1]) ** 2).mean() / 2)), rel=0.03)


def test_a_relu_that_is_always_on_or_off() -> None:
    assert after_relu(Signal(4, 0), 2) == Signal(4, 0)
    assert after_relu(Signal(4, 0), -2) == Signal(0, 0)
    assert after_relu(Signal(1, 0), 0).signal == 0


def test_what_the_arithmetic_does_not_know_is_named() -> None:
    known = (Conv(name="conv1", out=4), BatchNorm(name="norm"), Flatten(), Linear())
    with pytest.raises(UnknownArithmeticError, match="'norm' is none of them"):
        propagate(LayerList(input=(3, 8, 8), layers=known), Signal(1, 1))
    with pytest.raises(ValueError, match="does not fit"):
        propagate(LayerList(input=(3, 8, 8), layers=(Conv(name="big", kernel=11),)), Signal(1, 1))
