"""A module becomes a program of layers and how they are joined (run: `tests/browser/test_forward.py`)."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cnnviz import models
from cnnviz.inference import InferenceError
from cnnviz.inference.weights.module_program import kernel, module_program
from cnnviz.models.layers import Conv, Dropout, Flatten, LayerList, Linear, Residual, module_from


def test_an_inception_block_is_four_branches_that_are_joined() -> None:
    model = models.build("small-googlenet-32").eval()
    program = module_program(model, (3, 32, 32)).program
    names = [layer["name"] for layer in program.layers]
    block = names.index("inception_3a")
    assert program.layers[block]["op"] == "concat"
    ends = [names[place] for place in program.layers[block]["from"]]
    assert ends == [
        f"inception_3a.{branch}.relu" for branch in ("branch1", "branch3", "branch5", "branch_pool")
    ]
    assert program.layers[block]["shape"] == [128, 16, 16]
    starts = [layer["name"] for layer in program.layers if layer["from"] == [names.index("relu2")]]
    assert [name.split(".")[1] for name in starts] == ["branch1", "branch3", "branch5", "branch_pool"]


def test_outputs_are_what_hooks_see_even_where_layers_work_in_place() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(18, 3)).eval()
    image = torch.randn(1, 1, 5, 5)
    outputs = module_program(model, (1, 5, 5)).outputs(image)
    assert outputs[0].min() < 0
    torch.testing.assert_close(outputs[0], model[0](image)[0])
    torch.testing.assert_close(outputs[-1], model(image)[0])


def test_every_layer_of_1998_has_its_output() -> None:
    """Trained subsampling is two layers: the means, then gain and bias."""
    model, image = models.build("lenet5-1998").eval(), torch.randn(1, 1, 32, 32)
    network = module_program(model, (1, 32, 32))
    outputs = network.outputs(image)
    for layer, values in zip(network.program.layers, outputs, strict=True):
        assert list(values.shape) == layer["shape"], layer["name"]
    names = [layer["name"] for layer in network.program.layers]
    means = names.index("s2.mean")
    assert names[means + 1] == "s2"
    torch.testing.assert_close(outputs[means + 1], nn.Sequential(*list(model.children())[:3])(image)[0])
    torch.testing.assert_close(outputs[-1], model(image)[0])
    assert network.macs == 325_680


def test_kernels_stay_here_above_a_number_of_products_and_come_one_by_one() -> None:
    layers = (Conv(name="conv", out=4), Dropout(), Flatten(), Linear(name="fc"))
    model = module_from(LayerList(input=(2, 6, 6), classes=3, layers=layers)).eval()
    all_there, without = (module_program(model, (2, 6, 6), most_macs=most) for most in (10**6, 10))
    assert (all_there.has_kernels, without.has_kernels) == (True, False)
    assert [layer["op"] for layer in without.program.layers] == ["conv2d", "flatten", "linear"]
    assert without.program.layers[0]["weight"] is None
    assert without.program.weights.size == 4 + 3, "the biases"
    start = all_there.program.layers[0]["weight"]
    ours = all_there.program.weights[start + 18 : start + 36]
    np.testing.assert_array_equal(kernel(without, 0, 1).numpy().ravel(), ours)
    assert kernel(without, 2, 2).shape == (64,)
    for layer, channel in ((0, 4), (1, 0), (9, 0), (0, -1)):
        with pytest.raises(ValueError, match=r"There is no layer 9|has no weights of a map"):
            kernel(without, layer, channel)


def test_a_residual_block_adds_its_input() -> None:
    layers = LayerList(
        input=(4, 8, 8), classes=2, layers=(Residual(name="block", out=4), Flatten(), Linear())
    )
    program = module_program(module_from(layers).eval(), (4, 8, 8)).program
    added = next(layer for layer in program.layers if layer["op"] == "add")
    assert sorted(added["from"])[0] == -1


class Branching(nn.Module):
    """Depends on its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Cubed(nn.Module):
    """Does what no layer does."""

    def forward(self, x: Tensor) -> Tensor:
        return x**3


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Branching(), "depends on its input"),
        (Cubed(), "'pow.*' .* cannot be drawn; convolution, pooling"),
        (nn.Conv2d(1, 1, 3, padding_mode="reflect"), "'0' .Conv2d. cannot be drawn"),
        (nn.GroupNorm(1, 1), "'0' .GroupNorm. cannot be drawn"),
    ],
)
def test_what_cannot_be_drawn_is_said_with_what_can(part: nn.Module, words: str) -> None:
    with pytest.raises(InferenceError, match=words):
        module_program(nn.Sequential(part).eval(), (1, 5, 5))
