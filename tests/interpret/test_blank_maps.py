"""A map that shows nothing says why."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.interpret.attribution import (
    BLANK_PICTURE,
    CONSTANT,
    IS_BASELINE,
    METHODS,
    NOT_FINITE,
    Method,
    attribute,
    blank_reason,
)
from cnnviz.interpret.mosaic import constant_maps


class Small(nn.Module):
    """A convolution, a ReLU, a mean, two classes; weights are set by each test."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc(self.relu(self.conv(x)).mean((2, 3)))
        return out


@pytest.fixture
def model() -> Small:
    torch.manual_seed(0)
    made = Small().eval()
    for parameter in made.parameters():
        nn.init.constant_(parameter, 0.5)
    return made


IMAGE = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", METHODS)
def test_a_map_that_shows_something_needs_no_reason(model: Small, method: Method) -> None:
    assert attribute(model, IMAGE, method, 0, "relu").blank == ""


@pytest.mark.parametrize("method", METHODS)
def test_a_blank_picture_is_the_reason(method: Method) -> None:
    torch.manual_seed(0)
    lenet = models.build("lenet5").eval()
    for target in range(10):
        result = attribute(lenet, torch.zeros(1, 1, 28, 28), method, target, analysis=analyze("lenet5"))
        if np.ptp(result.values) > 1e-6 * np.abs(result.values).max():
            assert result.blank == ""
        else:
            assert result.blank.startswith(BLANK_PICTURE)


@pytest.mark.parametrize("method", METHODS)
def test_a_dead_layer_is_the_reason(model: Small, method: Method) -> None:
    nn.init.constant_(model.conv.bias, -100.0)  # type: ignore[arg-type]
    result = attribute(model, IMAGE, method, 0, "relu")
    assert not result.values.any()
    words = {
        "gradcam": "The layer 'relu' gives 0 everywhere",
        "saliency": "does not change with the image",
        "guided-backprop": "does not change with the image",
        "smoothgrad": "does not change with the image",
        "integrated-gradients": "anywhere on the way",
        "occlusion": "whichever patch is covered",
    }
    assert words[method] in result.blank


def test_a_layer_that_speaks_against_the_class_is_the_reason(model: Small) -> None:
    nn.init.constant_(model.fc.weight, -1.0)
    assert "'relu' speaks for the class" in attribute(model, IMAGE, "gradcam", 0, "relu").blank


def test_a_score_that_does_not_depend_on_the_layer_is_the_reason(model: Small) -> None:
    nn.init.zeros_(model.fc.weight)
    assert (
        "does not change with what the layer 'relu' gives"
        in attribute(model, IMAGE, "gradcam", 0, "relu").blank
    )


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_the_grey_that_a_method_starts_from_is_the_reason(model: Small, method: Method) -> None:
    result = attribute(model, torch.zeros(1, 1, 8, 8), method, 0)
    assert result.blank == f"{BLANK_PICTURE} {IS_BASELINE}"


@pytest.mark.parametrize("method", METHODS)
def test_values_that_are_not_finite_are_the_reason(model: Small, method: Method) -> None:
    nn.init.constant_(model.conv.weight, float("nan"))
    nn.init.constant_(model.fc.weight, float("nan"))
    assert attribute(model, IMAGE, method, 0, "relu").blank == NOT_FINITE


def test_a_constant_map_says_nothing_of_where(model: Small) -> None:
    values = np.full((4, 4), 0.3, np.float32)
    assert blank_reason("saliency", values, model, IMAGE, 0) == CONSTANT
    assert blank_reason("saliency", values[:1, :1], model, IMAGE, 0) == ""


def test_constant_feature_maps_are_counted() -> None:
    maps = np.zeros((4, 2, 2), np.float32)
    maps[1], maps[2, 0, 0], maps[3] = 3, 1, -2
    assert constant_maps(maps) == 2
    assert constant_maps(maps[:, :1, :1]) == 0
