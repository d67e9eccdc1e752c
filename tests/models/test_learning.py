"""Models with real weights: what goes forward comes back, to every parameter."""

import pytest
import torch
from torch import nn

from cnnviz.models import build, get

LIGHT = [
    "lenet5",
    "lenet5-1998",
    "small-alexnet",
    "googlenet",
    "googlenet-aux",
    "googlenet-32",
    "vgg16-bn-32",
    "resnet18-32",
]


@pytest.mark.parametrize("name", LIGHT)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    model = build(name).train()
    answers = model(torch.randn(2, *get(name).input_shape))
    for answer in answers if isinstance(answers, tuple) else [answers]:
        answer.square().sum().backward(retain_graph=True)
    for qualified, parameter in model.named_parameters():
        assert parameter.grad is not None, qualified
        assert parameter.grad.isfinite().all(), qualified


def test_tanh_in_place_of_relu_is_one_option() -> None:
    model = build("lenet5", options={"activation": "tanh", "pooling": "average"})
    kinds = {type(part) for part in model.modules()}
    assert nn.Tanh in kinds
    assert not kinds & {nn.ReLU, nn.MaxPool2d}
