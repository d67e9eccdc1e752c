"""Attributions against the same thing computed another way, and on a network whose answer is known."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.datasets import Step
from cnnviz.interpret import InterpretError, UnknownLayerError
from cnnviz.interpret.attribution import (
    BATCH,
    METHODS,
    Method,
    attribute,
    default_layer,
    grad_cam,
    grad_cams,
    layers_with_cells,
    upsample,
)
from cnnviz.interpret.deletion_check import check_deletion, overlay


@functools.cache
def model_and_image(name: str, side: int | None = None) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = models.build(name, input_size=side).eval()
    channels, height, width = models.get(name).input_shape
    return model, torch.randn(1, channels, side or height, side or width)


def by_hand(model: nn.Module, image: Tensor, target: int, layer: str) -> np.ndarray:
    """Grad-CAM with nothing but autograd: the network cut in two at the layer."""
    parts = list(model.named_children())
    cut = [name for name, _ in parts].index(layer) + 1
    maps = image
    with torch.no_grad():
        for _, part in parts[:cut]:
            maps = part(maps)
    maps = maps.clone().requires_grad_()
    out = maps.clone()
    for _, part in parts[cut:]:
        out = part(out)
    (gradient,) = torch.autograd.grad(out[0, target], maps)
    weights = gradient[0].mean(dim=(1, 2))
    cam = (weights[:, None, None] * maps.detach()[0]).sum(0)
    return functional.relu(cam).numpy()


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("lenet5", "relu2"),
        ("lenet5", "conv1"),
        ("small-googlenet-32", "inception_5b"),
        ("resnet18-32", "block4_2"),
    ],
)
def test_grad_cam_is_what_autograd_says(name: str, layer: str) -> None:
    model, image = model_and_image(name)
    # Fresh weights: of some classes nothing in the layer speaks for the class.
    maps = ((target, by_hand(model, image, target, layer)) for target in range(10))
    target, expected = next((target, cells) for target, cells in maps if cells.max() > 0)
    model.zero_grad()
    result = attribute(model, image, "gradcam", target, layer)
    assert result.cells == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert result.values.shape == image.shape[2:]
    assert grad_cams(model, image, target, [layer])[layer] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("name", "side"), [("torchvision/resnet18", 64), ("torchvision/googlenet", 64)])
def test_all_layers_at_once_are_the_layers_one_by_one(name: str, side: int) -> None:
    model, image = model_and_image(name, side)
    # Shared activations are called several times; the last call counts.
    names = layers_with_cells(analyze(name, side))[::13]
    together = grad_cams(model, image, 1, names)
    for layer in names:
        assert together[layer] == pytest.approx(grad_cam(model, image, 1, layer), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("lenet5", "relu2"), ("lenet5-1998", "tanh3"), ("alexnet-cifar10", "relu5"), ("googlenet",
    "inception_5b"),
     ("resnet18-32", "block4_2.relu2"), ("torchvision/resnet18", "layer4.1"),
     ("torchvision/googlenet", "inception5b"), ("torchvision/alexnet", "features.11"),
     ("torchvision/densenet121", "features.norm5")],
)  # fmt: skip
def test_the_default_layer_ends_the_last_convolutional_block(name: str, layer: str) -> None:
    assert default_layer(analyze(name)) == layer


def linear_picture() -> tuple[nn.Module, Tensor]:
    """A network that is one sum: class 1 is the sum of the upper left corner less that of the lower right."""
    weight = torch.zeros(2, 1, 6, 6)
    weight[1, 0, :3, :3], weight[1, 0, 3:, 3:] = 1.0, -1.0
    flat = nn.Linear(36, 2)
    flat.weight.data, flat.bias.data = weight.reshape(2, 36), torch.zeros(2)
    return nn.Sequential(nn.Flatten(), flat).eval(), torch.ones(1, 1, 6, 6)


def test_on_a_linear_model_the_answer_is_known() -> None:
    model, image = linear_picture()
    weight = model[1].weight[1].detach().reshape(6, 6).numpy()  # type: ignore[index]
    assert (attribute(model, image, "saliency", 1).values == np.abs(weight)).all()
    assert attribute(model, image, "integrated-gradients", 1).values == pytest.approx(weight, abs=1e-5)
    assert attribute(model, image, "occlusion", 1).values == pytest.approx(weight, abs=1e-5)


def test_guided_backprop_keeps_positive_gradients_alone() -> None:
    # y = 1·relu(x₁) − 1·relu(x₂): plain saliency is 1 at both, the negative way back is cut.
    last = nn.Linear(4, 1, bias=False)
    last.weight.data = torch.tensor([[1.0, -1.0, 0.0, 2.0]])
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), last).eval()
    image = torch.tensor([[[[1.0, 1.0], [1.0, -1.0]]]])
    assert attribute(model, image, "saliency", 0).values.tolist() == [[1, 1], [0, 0]]
    assert attribute(model, image, "guided-backprop", 0).values.tolist() == [[1, 0], [0, 0]]
    assert model[0].inplace, "the model itself is left as it is"
    assert image.tolist() == [[[[1.0, 1.0], [1.0, -1.0]]]], "and so is the image"
    with pytest.raises(InterpretError, match=r"no nn\.ReLU layer"):
        attribute(model[1:].eval(), image, "guided-backprop", 0)


def test_smoothgrad_is_the_mean_saliency_of_noisy_copies() -> None:
    model, image = linear_picture()
    weight = model[1].weight[1].detach().reshape(6, 6).numpy()  # type: ignore[index]
    assert attribute(model, image, "smoothgrad", 1).values == pytest.approx(np.abs(weight), abs=1e-6)
    net, picture = model_and_image("lenet5")
    first, again = (attribute(net, picture, "smoothgrad", 1).values for _ in range(2))
    assert (first == again).all()
    assert (first != attribute(net, picture, "saliency", 1).values).any()


def test_integrated_gradients_add_up_to_the_score() -> None:
    model, image = model_and_image("lenet5")
    result = attribute(model, image, "integrated-gradients", 2)
    with torch.no_grad():
        at_zero = float(model(torch.zeros_like(image))[0, 2])
    assert result.values.sum() == pytest.approx(result.score - at_zero, abs=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_behind(method: str) -> None:
    model, image = model_and_image("lenet5")
    model.zero_grad(set_to_none=True)
    result = attribute(model, image, method, layer="conv2")  # type: ignore[arg-type]
    assert result.values.shape == (28, 28)
    assert result.target == int(model(image).argmax())
    assert 0 < result.probability < 1
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(not m._forward_hooks and not m._backward_hooks for m in model.modules())
    assert not image.requires_grad


def test_what_is_not_there_is_refused() -> None:
    model, image = model_and_image("lenet5")
    analysis = analyze("lenet5")
    with pytest.raises(InterpretError, match="gradcam, saliency"):
        attribute(model, image, "lime")  # type: ignore[arg-type]
    with pytest.raises(InterpretError, match="0 to 9, not 10"):
        attribute(model, image, target=10, analysis=analysis)
    with pytest.raises(InterpretError, match="one image"):
        attribute(model, image.repeat(2, 1, 1, 1), analysis=analysis)
    with pytest.raises(UnknownLayerError, match="conv2"):
        attribute(model, image, layer="conv22")
    with pytest.raises(InterpretError, match="no maps"):
        attribute(model, image, layer="fc1")
    with pytest.raises(InterpretError, match="no maps"):
        grad_cams(model, image, 0, ["fc1"])
    with pytest.raises(InterpretError, match="choose a layer"):
        attribute(model, image)


def test_removing_regions_checks_the_map() -> None:
    model, image = linear_picture()
    result = check_deletion(model, image, attribute(model, image, "occlusion", 1), share=0.5)
    assert result.most.box == (0, 0, 3, 3)
    assert result.least.box == (3, 3, 6, 6)
    assert (result.most.mass, result.least.mass) == pytest.approx((0.5, -0.5))
    assert result.before[1] == pytest.approx(0.5)
    assert result.most.probabilities[1] == pytest.approx(float(torch.sigmoid(torch.tensor(-9.0))), abs=1e-6)
    assert result.confirms
    assert (result.lead, result.most.lead) == pytest.approx((0.0, -9.0), abs=1e-5)
    with pytest.raises(InterpretError, match="between 0 and 1"):
        check_deletion(model, image, attribute(model, image, "saliency", 1), share=1.5)


def test_overlays_mix_picture_and_map() -> None:
    picture = np.full((4, 4, 3), 100, np.uint8)
    values = np.zeros((2, 2), np.float32)
    values[0, 0] = 1
    assert (overlay(picture, values, 0) == picture).all()
    assert overlay(picture, values, 1)[0, 0].sum() > overlay(picture, values, 1)[3, 3].sum()
    assert overlay(picture, -values, 1, signed=True)[3, 3].tolist() == [255, 255, 255]
    assert upsample(values, (4, 4)).shape == (4, 4)
    with pytest.raises(InterpretError, match="Opacity"):
        overlay(picture, values, 2)


@pytest.mark.parametrize(("method", "at_once"), [("occlusion", 16), ("integrated-gradients", BATCH)])
def test_slow_methods_tell_how_far_they_are(method: Method, at_once: int) -> None:
    model, image = model_and_image("lenet5")
    steps: list[Step] = []
    attribute(model, image, method, progress=steps.append)
    done = [step.done for step in steps]
    assert done[0] == 0
    assert done == sorted(done)
    total = steps[-1].total
    assert total is not None
    assert total - at_once <= done[-1] <= total
    assert not model._forward_pre_hooks
