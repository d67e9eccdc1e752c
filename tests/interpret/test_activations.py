"""Outputs of layers are what a plain hook on a fresh model sees, bit for bit."""

import copy
import functools
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.interpret import UnknownLayerError
from cnnviz.interpret.hooks import (
    activations,
    feature_maps,
    record_layers,
    reduce_activations,
    summarize_activations,
)
from cnnviz.interpret.layer_names import inner_layers, layers
from tests.analysis.strange_nets import Scripted

OURS = {"lenet5": None, "lenet5-1998": None, "googlenet-32": None, "resnet18-32": None, "googlenet-aux": 193}
THEIRS = {"torchvision/alexnet": 64, "torchvision/googlenet": 64, "torchvision/densenet121": 32,
          "torchvision/resnet18": 32, "torchvision/mobilenet_v3_small": 32}  # fmt: skip


@functools.cache
def model_and_image(name: str, side: int | None) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = models.build(name, input_size=side).eval()
    channels, height, width = models.get(name).input_shape
    return model, torch.randn(2, channels, side or height, side or width)


def plain_hooks(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """First outputs of every module of a fresh copy."""
    fresh, tensors = copy.deepcopy(model), dict[str, Tensor]()

    def hook(name: str) -> Any:
        def keep(module: nn.Module, args: Any, out: Any) -> None:
            if isinstance(out, Tensor):
                tensors.setdefault(name, out.clone())

        return keep

    for name, module in fresh.named_modules():
        module.register_forward_hook(hook(name))
    with torch.no_grad():
        fresh(images)
    return tensors


@pytest.mark.parametrize(("name", "side"), [*OURS.items(), *THEIRS.items()])
def test_every_row_is_what_a_plain_hook_sees(name: str, side: int | None) -> None:
    model, images = model_and_image(name, side)
    rows = [layer.name for layer in layers(analyze(name, input_size=side))]
    result, plain = activations(model, images, rows), plain_hooks(model, images)
    assert result.keys() == set(rows)
    assert all(torch.equal(result[row], plain[row]) for row in rows)


@pytest.mark.parametrize(("name", "side"), [*OURS.items(), *THEIRS.items(), ("torchvision/swin_t", 224)])
def test_shapes_are_those_of_the_architectures_table(name: str, side: int | None) -> None:
    analysis = analyze(name, input_size=side)
    model, images = model_and_image(name, side)
    known = (*layers(analysis), *inner_layers(analysis))
    shapes = reduce_activations(
        model, images[:1], [layer.name for layer in known], lambda _, out: tuple(out.shape)[1:]
    )
    if name != "torchvision/swin_t":
        assert shapes == {layer.name: layer.output_shape for layer in known}
    assert shapes.keys() == {layer.name for layer in known}


def test_functions_between_layers_have_outputs_of_their_own() -> None:
    model, images = model_and_image("torchvision/densenet121", 32)
    result = activations(model, images, ["features.norm5", ":relu", ":adaptive-pooling", ""])
    assert torch.equal(result[":relu"], functional.relu(result["features.norm5"]))
    assert torch.equal(result[":adaptive-pooling"], functional.adaptive_avg_pool2d(result[":relu"], 1))
    assert torch.equal(result[""], model(images))


def test_functional_relus_in_place_do_not_leak_into_what_stands_before_them() -> None:
    model, images = model_and_image("torchvision/googlenet", 64)
    result = activations(model, images, ["conv1.bn", "conv1:relu", "conv1"])
    assert result["conv1.bn"].min() < 0
    assert torch.equal(result["conv1:relu"], functional.relu(result["conv1.bn"]))
    assert torch.equal(result["conv1"], result["conv1:relu"])


def test_a_sum_in_place_and_a_module_called_twice() -> None:
    model, images = model_and_image("torchvision/resnet18", 32)
    names = ["layer1.0.bn2", "layer1.0:add", "layer1.0.relu", "layer1.0.relu@2", "layer1.0.bn1", "maxpool"]
    result = activations(model, images, names)
    assert torch.equal(result["layer1.0:add"], result["layer1.0.bn2"] + result["maxpool"])
    assert torch.equal(result["layer1.0.relu"], functional.relu(result["layer1.0.bn1"]))
    assert torch.equal(result["layer1.0.relu@2"], functional.relu(result["layer1.0:add"]))


def test_inputs_are_as_the_layer_met_them() -> None:
    model, images = model_and_image("torchvision/alexnet", 64)
    result = record_layers(model, images, ["features.0", "features.1"])
    assert torch.equal(result["features.0"].inputs[0], images)
    assert torch.equal(result["features.1"].inputs[0], result["features.0"].output)
    assert result["features.1"].inputs[0].min() < 0


def test_a_torchscript_child_is_one_layer() -> None:
    model, images = Scripted().eval(), torch.randn(2, 3, 12, 12)
    seen = activations(model, images, ["conv", "inner"])
    assert torch.equal(seen["inner"], model.inner(model.conv(images)))
    with pytest.raises(UnknownLayerError, match="it has 'inner'"):  # looked for among operations too
        activations(model, images, ["inner", ":relu"])


def test_the_model_is_left_as_it_was() -> None:
    model, images = model_and_image("torchvision/googlenet", 64)
    before = {name: (p.requires_grad, p.clone()) for name, p in model.named_parameters()}
    activations(model, images, ["conv1:relu", "inception3a"])
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert all(p.requires_grad is before[n][0] and p.equal(before[n][1]) for n, p in model.named_parameters())


def test_two_threads_on_one_model_see_their_own_pictures() -> None:
    model, _ = model_and_image("lenet5", None)
    pictures = [torch.full((1, 1, 28, 28), float(i)) for i in range(4)]
    alone = [activations(model, picture, ["conv2"])["conv2"] for picture in pictures]
    together: dict[int, list[Tensor]] = {}

    def look(number: int) -> None:
        together[number] = [activations(model, pictures[number], ["conv2"])["conv2"] for _ in range(20)]

    threads = [threading.Thread(target=look, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(values, alone[i]) for i in range(4) for values in together[i])


def test_what_is_not_there_is_refused_with_the_nearest_name() -> None:
    model, images = model_and_image("lenet5", None)
    with pytest.raises(UnknownLayerError, match="'conv2'"):
        activations(model, images, ["konv2"])
    with pytest.raises(UnknownLayerError, match="no layer 'conv1@2'"):
        activations(model, images, ["conv1@2"])
    with pytest.raises(UnknownLayerError, match="no layer 'conv1:relu'"):
        activations(model, images, ["conv1:relu"])


def test_a_pass_ends_where_nothing_more_is_wanted() -> None:
    model, images = model_and_image("lenet5", None)
    broken = copy.deepcopy(model)
    broken.get_submodule("fc1").weight = nn.Parameter(torch.zeros(3, 3))
    assert torch.equal(
        activations(broken, images, ["pool2"])["pool2"], activations(model, images, ["pool2"])["pool2"]
    )
    with pytest.raises(RuntimeError):
        activations(broken, images, ["pool2", "fc1"])


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"eval\(\)"):
        activations(models.build("lenet5"), torch.zeros(1, 1, 28, 28), ["conv1"])


def test_summaries_are_the_figures_of_the_maps() -> None:
    model, images = model_and_image("lenet5", None)
    result = summarize_activations(model, images[:1], ["conv1", "relu1"])["relu1"]
    maps = feature_maps(model, images[0], "relu1")
    assert result.shape == (6, 28, 28)
    np.testing.assert_array_equal(result.mean, maps.mean((1, 2)))
    np.testing.assert_array_equal(result.high, maps.max((1, 2)))
    assert result.zeros == pytest.approx((maps == 0).mean((1, 2)))


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [((7,), (28, 28), (7, 1, 1)), ((5, 4, 4), (32, 32), (5, 4, 4)), ((4, 4, 5), (32, 32), (5, 4, 4)),
     ((4, 6, 3), (32, 48), (3, 4, 6)), ((3, 4, 6), (32, 48), (3, 4, 6)), ((17, 8), (32, 32), (8, 4, 4)),
     ((16, 8), (32, 32), (8, 4, 4)), ((5, 8), (32, 90), (8, 1, 5))],
)  # fmt: skip
def test_what_is_no_map_becomes_maps(
    shape: tuple[int, ...], size: tuple[int, int], expected: tuple[int, int, int]
) -> None:
    from cnnviz.interpret.mosaic import as_maps

    assert as_maps(torch.zeros(shape), size).shape == expected
